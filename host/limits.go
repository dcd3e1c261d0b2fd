package host

import "time"

const (
	// bytesPerUnit is how many bytes a call moves for a unit of fuel, as bulk instructions of guests do.
	bytesPerUnit = 8
	// callBytes is what every call is charged as if it had moved so many bytes: leaving compiled code and coming back takes as long as some hundred
	// instructions.
	callBytes = 128 * bytesPerUnit
	// randomChunkSize is how many bytes of random are drawn between two looks at the context. Every randomChunkSize bytes of a run
	// count as one host call, so that the limit on calls bounds the entropy that a guest can make us produce.
	randomChunkSize = 64 << 10
	// iovecsMax bounds the spans of one fd_read or fd_write; it is Linux's IOV_MAX.
	iovecsMax = 1024
	// subscriptionsMax bounds the events of one poll_oneoff; toolchains use at most a handful (fd 0-2 and a clock).
	subscriptionsMax = 256
	// sleepMax is the longest single sleep, so that a year in nanoseconds cannot overflow; it is above any wall limit.
	sleepMax = 24 * time.Hour
	// clockCoarse is the resolution of the clocks without "clock fine": too coarse to time a cache line, fine enough for a timeout.
	clockCoarse = time.Millisecond
	// monotonicStart is what the monotonic clock of a run shows at its begin; the Go runtime refuses to start at zero.
	monotonicStart = time.Second
	// kvTTLMax bounds the life of a key, so that seconds cannot overflow a duration.
	kvTTLMax = 366 * 24 * time.Hour
	// noteSizeMax bounds one line that the host itself writes into a task's log, in bytes.
	noteSizeMax = 512

	// Defaults of RunConfig.Limits, for callers that state none. They equal the defaults of a manifest.
	resultSizeDefault = 1 << 20
	logSizeDefault    = 256 << 10
	logLinesDefault   = 1000
	callsDefault      = 1000

	// tenantsMax bounds the HTTP transports kept, one per tenant; beyond it the least used is dropped.
	tenantsMax = 64
	// httpConnsPerHostMax bounds the connections of one tenant to one host.
	httpConnsPerHostMax = 32
	// httpIdleConnsMax bounds the idle connections of one tenant.
	httpIdleConnsMax = 8
	// httpIdleTime is how long an idle connection is kept.
	httpIdleTime = 30 * time.Second
	// httpTimeDefault bounds one fetch when HTTPConfig.Timeout is not set; the run's own deadline is mostly sooner.
	httpTimeDefault = 30 * time.Second
	// httpTimeMax is the most that HTTPConfig.Timeout may say.
	httpTimeMax = time.Hour
	// httpDialTime bounds resolving and connecting.
	httpDialTime = 10 * time.Second
	// httpHeaderSizeMax bounds the headers of an answer, in bytes.
	httpHeaderSizeMax = 64 << 10
	// httpHeaderValueSizeMax bounds one header value of a request, in bytes: servers refuse more anyway.
	httpHeaderValueSizeMax = 8 << 10
)
