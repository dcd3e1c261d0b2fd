// Command thumbnail is a task that turns a PNG or JPEG picture into a small one.
//
// It needs no capability: a picture comes in with the message, a picture goes out with the result. What it decodes was
// made by somebody else, which is what the sandbox is for; still it looks at the dimensions before it decodes, so that
// a picture of 200 bytes that unfolds to gigabytes is a clear failure and not a spent memory limit.
//
// Input is JSON: {"image": base64, "width": 160, "height": 120, "format": "jpeg"}. The picture is scaled down, never
// up, to fit into width x height, keeping its shape. Format is "jpeg" or "png"; left out, it is the picture's own.
// The result is the picture's bytes.
package main
