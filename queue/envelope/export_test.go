package envelope

// Walk is walk, for the tests that compare it with an independent reader.
var Walk = walk

// The types and arities, so that tests build frames and bodies by hand.
const (
	TaskType    = taskType
	StepType    = stepType
	ResultType  = resultType
	OrderType   = orderType
	TaskArity   = taskArity
	ResultArity = resultArity
	DepthMax    = depthMax
)

// RootsSize counts what is remembered.
func RootsSize(s *Roots) int { return len(s.new) + len(s.old) }

// RememberRoot remembers the n-th of some roots that nobody signed.
func RememberRoot(s *Roots, key PublicKey, n int) { s.add(signedRoot{key: key, size: n + 2}) }

// HasRoot asks for it.
func HasRoot(s *Roots, key PublicKey, n int) bool { return s.has(signedRoot{key: key, size: n + 2}) }
