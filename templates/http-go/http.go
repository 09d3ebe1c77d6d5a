package main

// Requests and answers of wasi:http, as little of it as a handler needs; wit/ has all that there is. The functions are
// those of the Component Model's canonical ABI: what does not fit into one result is written where the last parameter
// points to. Resources are numbers.

import (
	"errors"
	"io"
	"runtime/debug"
	"unsafe"
)

// Request is one that came. Its Body may be read once.
type Request struct {
	Method string
	Path   string // with what follows ?
	Body   io.Reader
}

// Response is written to; the status and the headers leave with the first bytes.
type Response struct {
	out, headers, body, stream int32
	status                     int32
}

// Header adds a field, before the first bytes.
func (response *Response) Header(name, value string) {
	var result [2]byte
	fieldsAppend(response.headers, name, value, unsafe.Pointer(&result))
}

// Status is 200 unless it is said, before the first bytes.
func (response *Response) Status(status int) {
	response.status = int32(status)
}

func (response *Response) begin() {
	var result handleResult
	answer := responseNew(response.headers)
	responseSetStatus(answer, response.status)
	responseBody(answer, unsafe.Pointer(&result))
	response.body = result.handle
	outparamSet(response.out, 0, answer, 0, 0, 0, 0, 0, 0)
	outgoingWrite(response.body, unsafe.Pointer(&result))
	response.stream = result.handle
}

// Write sends bytes as they are.
func (response *Response) Write(bytes []byte) (int, error) {
	const part = 4096 // what one call writes at most
	if response.stream == 0 {
		response.begin()
	}
	for at := 0; at < len(bytes); at += part {
		var result [12]byte
		piece := bytes[at:min(at+part, len(bytes))]
		streamWrite(response.stream, unsafe.Pointer(&piece[0]), uint32(len(piece)), unsafe.Pointer(&result))
		if result[0] != 0 {
			return at, errors.New("the client went away")
		}
	}
	return len(bytes), nil
}

type body struct {
	request, body, stream int32
	ended                 bool
}

func (body *body) open() {
	var result handleResult
	requestConsume(body.request, unsafe.Pointer(&result))
	if result.isError == 0 {
		body.body = result.handle
		incomingStream(body.body, unsafe.Pointer(&result))
		body.stream = result.handle
	}
	body.ended = result.isError != 0
}

func (body *body) Read(bytes []byte) (int, error) {
	if body.stream == 0 && !body.ended {
		body.open()
	}
	for !body.ended && len(bytes) > 0 {
		var result listResult
		streamRead(body.stream, uint64(len(bytes)), unsafe.Pointer(&result))
		if result.kind == 0 && result.size > 0 {
			return copy(bytes, result.bytes()), nil
		}
		body.ended = result.kind != 0
	}
	if len(bytes) == 0 {
		return 0, nil
	}
	return 0, io.EOF
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func methodOf(request int32) string {
	var method listResult
	requestMethod(request, unsafe.Pointer(&method))
	if int(method.kind) < len(methods) {
		return methods[method.kind]
	}
	return string(method.bytes())
}

func pathOf(request int32) string {
	var path listResult
	requestPath(request, unsafe.Pointer(&path))
	if path.kind == 0 {
		return "/"
	}
	return string(path.bytes())
}

//go:wasmexport wasi:http/incoming-handler@0.2.10#handle
func entry(request, out int32) {
	response := Response{out: out, headers: fieldsNew(), status: 200}
	handle(&Request{methodOf(request), pathOf(request), &body{request: request}}, &response)
	if response.stream == 0 {
		response.begin()
	}
	var result [5]uint64
	streamDrop(response.stream)
	outgoingFinish(response.body, 0, 0, unsafe.Pointer(&result))
}

// While the host gives bytes to this function it may call nobody, and the collector asks for the time: so it does not run
// by itself. An instance lives for one request; call runtime.GC in one that needs much.
func init() {
	debug.SetGCPercent(-1)
}

// What the host has put somewhere, kept until the end.
var given [][]uint64

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	block := make([]uint64, size/8+1)
	given = append(given, block)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&block[0])), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return unsafe.Pointer(&block[0])
}

// result<own<...>>
type handleResult struct {
	isError uint8
	handle  int32
}

// result<list<u8>, ...>, option<string>, or a variant with a string
type listResult struct {
	kind    uint8 // of a result: not 0 for an error
	address uint32
	size    uint32
}

func (list *listResult) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(list.address))), list.size)
}

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.method
func requestMethod(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.path-with-query
func requestPath(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.consume
func requestConsume(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-body.stream
func incomingStream(body int32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.10 [method]input-stream.blocking-read
func streamRead(stream int32, size uint64, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [constructor]fields
func fieldsNew() int32

//go:wasmimport wasi:http/types@0.2.10 [method]fields.append
func fieldsAppend(fields int32, name, value string, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [constructor]outgoing-response
func responseNew(fields int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-response.set-status-code
func responseSetStatus(response, status int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-response.body
func responseBody(response int32, result unsafe.Pointer)

// The answer, or an error-code, whose parts are the parameters behind it.
//
//go:wasmimport wasi:http/types@0.2.10 [static]response-outparam.set
func outparamSet(out, isError, response, a int32, b int64, c, d, e, f int32)

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-body.write
func outgoingWrite(body int32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.10 [method]output-stream.blocking-write-and-flush
func streamWrite(stream int32, bytes unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.10 [resource-drop]output-stream
func streamDrop(stream int32)

//go:wasmimport wasi:http/types@0.2.10 [static]outgoing-body.finish
func outgoingFinish(body, hasTrailers, trailers int32, result unsafe.Pointer)
