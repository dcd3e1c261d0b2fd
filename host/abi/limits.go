package abi

const (
	// RequestSizeMax bounds a request frame in bytes: a whole http body or kv value fits with its headers,
	// and a thousand tasks at once cost the host at most 1 GiB for it.
	RequestSizeMax = 1 << 20
	// AnswerSizeMax bounds an answer frame in bytes; HTTP bodies that are larger after decompression answer TooLarge.
	AnswerSizeMax = 4<<20 + 64<<10
	// FieldsMax bounds the fields of one frame, so that a frame of empty fields cannot make the host allocate a slice of a million headers.
	FieldsMax = 2048
	// HTTPBodySizeMax bounds the body of an HTTP answer in bytes, after decompression.
	HTTPBodySizeMax = 4 << 20
	// HTTPHeadersMax bounds the headers of an HTTP request and of an answer, in lines; an answer with more is TooLarge.
	HTTPHeadersMax = 128
	// KVKeySizeMax bounds a key in bytes; keys are part of Redis key names, which stay readable at this size.
	KVKeySizeMax = 512
	// KVValueSizeMax bounds a value in bytes: larger things are blobs, and one value must not stall the store's connection.
	KVValueSizeMax = 256 << 10
	// KVListMax bounds the keys of one kv_list answer.
	KVListMax = 1000
	// ErrorSizeMax bounds the message of error_write in bytes; what is longer is cut.
	ErrorSizeMax = 4 << 10
	// RetryAfterMax bounds the delay that error_write asks for, in milliseconds: 30 days, far above any sensible backoff and below any overflow.
	RetryAfterMax = 30 * 24 * 3600 * 1000
	// ProgressSizeMax bounds one report of progress in bytes, before and after escaping: it is for a person, or a number for a bar.
	ProgressSizeMax = 1 << 10
	// LogLineSizeMax bounds one log line in bytes before escaping; what is longer is cut and marked.
	LogLineSizeMax = 4 << 10
)
