package sandbox

// ReadLayout lets a fuzz target at the reader.
func ReadLayout(module []byte) (code []byte, err error) {
	l, err := readLayout(module)
	if err != nil {
		return nil, err
	}
	return l.code, nil
}
