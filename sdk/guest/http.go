package guest

import (
	"context"
	"strconv"
	"strings"
)

// HTTP sends requests through the worker. Each needs a capability such as "http GET https://api.example.com/*".
var HTTP Client

// A Client sends HTTP requests. The worker resolves the name, checks the address and verifies the certificate.
// Redirects are not followed: the answer holds the Location, and following it is a request of its own, which needs its
// own capability. There are no cookies and no proxy.
type Client struct{}

// A Header is one header line.
type Header struct{ Name, Value string }

// A Request is one HTTP request.
type Request struct {
	Method  string // required, upper case
	URL     string // required, absolute; "https" unless a capability spells out "http"
	Headers []Header
	Body    []byte // at most what fits abi.RequestSizeMax with the rest
}

// A Response is what the server answered, whatever its status: a status of 400 or above is not an error.
type Response struct {
	Status  int
	Headers []Header
	Body    []byte // at most abi.HTTPBodySizeMax, after decompression; owned by the caller
}

// Header returns the first header called name, in any case, or "".
func (r Response) Header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Get sends a GET request for url.
// Errors: as Do.
func (c Client) Get(ctx context.Context, url string) (Response, error) {
	return c.Do(ctx, Request{Method: "GET", URL: url})
}

// Do sends r and returns the answer.
// Errors: *[CallError], which unwraps to ErrDenied, ErrInvalid, ErrTooLarge, ErrUnavailable or ErrTimeout.
func (Client) Do(ctx context.Context, r Request) (Response, error) {
	fields := make([][]byte, 0, 3+2*len(r.Headers))
	fields = append(fields, []byte(r.Method), []byte(r.URL), r.Body)
	for _, h := range r.Headers {
		fields = append(fields, []byte(h.Name), []byte(h.Value))
	}
	answer, err := ask(ctx, httpFetch, fields...)
	if err != nil {
		return Response{}, callFault("http "+r.Method, bare(r.URL), err)
	}
	response, ok := responseOf(answer)
	if !ok {
		return Response{}, callFault("http "+r.Method, bare(r.URL), ErrInvalid)
	}
	return response, nil
}

// responseOf reads an answer frame: status, body, then names and values in turn.
func responseOf(fields [][]byte) (Response, bool) {
	if len(fields) < 2 || len(fields)%2 != 0 {
		return Response{}, false
	}
	status, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		return Response{}, false
	}
	r := Response{Status: status, Body: fields[1]}
	for i := 2; i < len(fields); i += 2 {
		r.Headers = append(r.Headers, Header{Name: string(fields[i]), Value: string(fields[i+1])})
	}
	return r, true
}

// bare is url without user, query and fragment, which may hold what should not be in an error.
func bare(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return url
	}
	host, path, slash := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if slash {
		path = "/" + path
	}
	return scheme + "://" + host + path
}
