// Command callout is a task that asks a web service and passes on its answer.
//
// It needs "http GET https://api.example.com/*". Where the policy does not grant that, a message for it is refused with
// capability.shortfall before the module starts. Input is JSON: {"path": "v1/weather"}; the result is the body that
// the service answered. An answer of 429 or 5xx is tried again when the service says so, any other that is not 200 is
// a failure for good.
package main
