// A handler with routes: an order as JSON, answers and echoes that are streamed, a request to another server.
// The packages of wit_component are made from routes.wit by wit-bindgen.
package export_wasi_http_incoming_handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/bytecodealliance/wit-bindgen/wit_types"
	"wit_component/wasi_http_outgoing_handler"
	"wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"
)

const (
	part     = 4096 // what BlockingWriteAndFlush takes at once
	orderMax = 1 << 20
	countMax = 10_000_000
	collect  = 4 << 20 // how much is read between two collections
)

// While the host gives bytes to this function it may call nobody (the Component Model's may_leave), and the collector asks
// for the time: so it runs when it is told to, and not inside of an allocation.
func init() {
	debug.SetGCPercent(-1)
}

type answer = wasi_http_types.ResponseOutparam

type item struct {
	Count *uint64 `json:"count"`
	Cents *uint64 `json:"cents"`
}

type order struct {
	Customer *string `json:"customer"`
	Items    *[]item `json:"items"`
}

type receipt struct {
	Customer string `json:"customer"`
	Pieces   uint64 `json:"pieces"`
	Cents    uint64 `json:"cents"`
}

var errStream = errors.New("the stream broke off")

// respond sends the head of the answer, and the body as write makes it; one that write gives up is not finished.
func respond(out *answer, status uint16, contentType string, write func(to *wasi_io_streams.OutputStream) error) {
	headers := wasi_http_types.MakeFields()
	headers.Append("content-type", []byte(contentType))
	response := wasi_http_types.MakeOutgoingResponse(headers)
	response.SetStatusCode(status)
	body := response.Body().Ok()
	wasi_http_types.ResponseOutparamSet(out,
		wit_types.Ok[*wasi_http_types.OutgoingResponse, wasi_http_types.ErrorCode](response))
	stream := body.Write().Ok()
	err := write(stream)
	stream.Drop()
	if err != nil {
		body.Drop()
		return
	}
	wasi_http_types.OutgoingBodyFinish(body, wit_types.None[*wasi_http_types.Fields]())
}

func writeAll(to *wasi_io_streams.OutputStream, bytes []byte) error {
	for len(bytes) > 0 {
		n := min(len(bytes), part)
		if to.BlockingWriteAndFlush(bytes[:n]).IsErr() {
			return errStream
		}
		bytes = bytes[n:]
	}
	return nil
}

func respondBytes(out *answer, status uint16, contentType string, bytes []byte) {
	respond(out, status, contentType, func(to *wasi_io_streams.OutputStream) error { return writeAll(to, bytes) })
}

func respondJSON(out *answer, status uint16, value any) {
	bytes, _ := json.Marshal(value)
	respondBytes(out, status, "application/json", bytes)
}

func refuse(out *answer, status uint16, why string) {
	respondJSON(out, status, map[string]string{"error": why})
}

// parts gives to each what comes, as it comes.
func parts(from *wasi_io_streams.InputStream, each func(bytes []byte) error) error {
	for sum := 0; ; {
		read := from.BlockingRead(65536)
		if read.IsErr() {
			err := read.Err()
			if err.Tag() == wasi_io_streams.StreamErrorClosed {
				return nil
			}
			return errStream
		}
		bytes := read.Ok()
		if err := each(bytes); err != nil {
			return err
		}
		if sum += len(bytes); sum > collect {
			runtime.GC()
			sum = 0
		}
	}
}

// What is part of something else is dropped before it, by hand: the collector knows no such order.
func passOn(out *answer, status uint16, body *wasi_http_types.IncomingBody) {
	defer body.Drop()
	from := body.Stream().Ok()
	defer from.Drop()
	respond(out, status, "application/octet-stream", func(to *wasi_io_streams.OutputStream) error {
		return parts(from, func(bytes []byte) error { return writeAll(to, bytes) })
	})
}

func takeOrder(out *answer, body *wasi_http_types.IncomingBody) {
	defer body.Drop()
	from := body.Stream().Ok()
	defer from.Drop()
	var text []byte
	err := parts(from, func(bytes []byte) error {
		if text = append(text, bytes...); len(text) > orderMax {
			return errStream
		}
		return nil
	})
	if err != nil {
		refuse(out, 413, "the order is too long")
		return
	}
	var asked order
	if json.Unmarshal(text, &asked) != nil || asked.Customer == nil || asked.Items == nil {
		refuse(out, 400, "this is no order")
		return
	}
	made := receipt{Customer: *asked.Customer}
	for _, item := range *asked.Items {
		if item.Count == nil || item.Cents == nil {
			refuse(out, 400, "this is no order")
			return
		}
		made.Pieces += *item.Count
		made.Cents += *item.Count * *item.Cents
	}
	respondJSON(out, 200, made)
}

func count(out *answer, digits string) {
	last, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || last > countMax {
		refuse(out, 400, "not a number that can be counted to")
		return
	}
	respond(out, 200, "text/plain", func(to *wasi_io_streams.OutputStream) error {
		lines := make([]byte, 0, part)
		for number := uint64(1); number <= last; number++ {
			lines = append(strconv.AppendUint(lines, number, 10), '\n')
			if len(lines) > part-16 {
				if err := writeAll(to, lines); err != nil {
					return err
				}
				lines = lines[:0]
			}
		}
		return writeAll(to, lines)
	})
}

// send asks for SCHEME/AUTHORITY/PATH.
func send(target string) (*wasi_http_types.IncomingResponse, error) {
	scheme, rest, _ := strings.Cut(target, "/")
	authority, path, _ := strings.Cut(rest, "/")
	request := wasi_http_types.MakeOutgoingRequest(wasi_http_types.MakeFields())
	how := wasi_http_types.MakeSchemeHttp()
	if scheme == "https" {
		how = wasi_http_types.MakeSchemeHttps()
	}
	if request.SetScheme(wit_types.Some(how)).IsErr() || request.SetAuthority(wit_types.Some(authority)).IsErr() ||
		request.SetPathWithQuery(wit_types.Some("/"+path)).IsErr() {
		return nil, errors.New("this cannot be asked for")
	}
	sent := wasi_http_outgoing_handler.Handle(request, wit_types.None[*wasi_http_types.RequestOptions]())
	if sent.IsErr() {
		return nil, fmt.Errorf("error-code %d", sent.Err().Tag())
	}
	future := sent.Ok()
	defer future.Drop()
	for {
		if got := future.Get(); got.IsSome() {
			response := got.Some().Ok()
			if response.IsErr() {
				return nil, fmt.Errorf("error-code %d", response.Err().Tag())
			}
			return response.Ok(), nil
		}
		pollable := future.Subscribe()
		pollable.Block()
		pollable.Drop()
	}
}

func fetch(out *answer, target string) {
	response, err := send(target)
	if err != nil {
		refuse(out, 502, err.Error())
		return
	}
	defer response.Drop()
	passOn(out, response.Status(), response.Consume().Ok())
}

// Handle is wasi:http/incoming-handler's.
func Handle(request *wasi_http_types.IncomingRequest, out *answer) {
	defer request.Drop()
	path := request.PathWithQuery().SomeOr("")
	method := request.Method()
	get, post := method.Tag() == wasi_http_types.MethodGet, method.Tag() == wasi_http_types.MethodPost
	switch {
	case get && path == "/":
		respondBytes(out, 200, "text/plain", []byte("Routes in Go\n"))
	case post && path == "/order":
		takeOrder(out, request.Consume().Ok())
	case post && path == "/echo":
		passOn(out, 200, request.Consume().Ok())
	case path == "/" || path == "/order" || path == "/echo":
		refuse(out, 405, "not with this method")
	case get && strings.HasPrefix(path, "/count/"):
		count(out, strings.TrimPrefix(path, "/count/"))
	case get && strings.HasPrefix(path, "/fetch/"):
		fetch(out, strings.TrimPrefix(path, "/fetch/"))
	default:
		refuse(out, 404, "no such path")
	}
}
