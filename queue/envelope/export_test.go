package envelope

// Walk is walk, for the tests that compare it with an independent reader.
var Walk = walk

// The types and arities, so that tests build frames and bodies by hand.
const (
	TaskType    = taskType
	ResultType  = resultType
	TaskArity   = taskArity
	ResultArity = resultArity
	DepthMax    = depthMax
)
