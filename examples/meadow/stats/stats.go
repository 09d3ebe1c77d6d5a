// Readings of a meadow: lines of CSV go into a database, and what comes out is statistics over all of them.
// The packages of wit_component are made from stats.wit by wit-bindgen.
package export_wasi_http_incoming_handler

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/bytecodealliance/wit-bindgen/wit_types"
	"wit_component/fermyon_spin_sqlite"
	"wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"
)

const (
	part     = 4096    // what BlockingWriteAndFlush takes at once
	bodyMax  = 1 << 20 // bytes of CSV
	wordMax  = 64      // bytes of a place
	noteMax  = 1000    // bytes of a note
	rowsMax  = 100_000 // that statistics are made of: the latest
	notesMax = 5       // that are told: the latest
)

const schema = `CREATE TABLE IF NOT EXISTS readings(
	id INTEGER PRIMARY KEY, place TEXT NOT NULL, value REAL NOT NULL, note TEXT NOT NULL, person TEXT NOT NULL)`

// All rows or none: they come as one value.
const insert = `INSERT INTO readings(place, value, note, person)
	SELECT value->>'place', value->>'value', value->>'note', ?2 FROM json_each(?1)`

// While the host gives bytes to this function it may call nobody, and the collector asks for the time: so it does not run
// by itself. An instance lives for one request.
func init() {
	debug.SetGCPercent(-1)
}

type database = fermyon_spin_sqlite.Connection

type value = fermyon_spin_sqlite.Value

type reading struct {
	Place string  `json:"place"`
	Value float64 `json:"value"`
	Note  string  `json:"note"`
}

type place struct {
	Place     string  `json:"place"`
	Count     int     `json:"count"`
	Least     float64 `json:"least"`
	Most      float64 `json:"most"`
	Mean      float64 `json:"mean"`
	Median    float64 `json:"median"`
	Deviation float64 `json:"deviation"`
}

type note struct {
	Place  string `json:"place"`
	Person string `json:"person"`
	Text   string `json:"text"`
}

// refused is an error of who asked.
type refused struct {
	status uint16
	why    string
}

func (r refused) Error() string { return r.why }

// ---- the database ----

func failed(what string, err fermyon_spin_sqlite.Error) error {
	names := map[uint8]string{
		fermyon_spin_sqlite.ErrorNoSuchDatabase: "there is no such database",
		fermyon_spin_sqlite.ErrorAccessDenied:   "access denied",
		fermyon_spin_sqlite.ErrorDatabaseFull:   "the database is full",
	}
	if name, known := names[err.Tag()]; known {
		return fmt.Errorf("%s: %s", what, name)
	}
	if err.Tag() == fermyon_spin_sqlite.ErrorIo {
		return fmt.Errorf("%s: %s", what, err.Io())
	}
	return fmt.Errorf("%s: error %d", what, err.Tag())
}

func execute(db *database, statement string, parameters ...value) ([]fermyon_spin_sqlite.RowResult, error) {
	done := db.Execute(statement, parameters)
	if done.IsErr() {
		return nil, failed("a statement", done.Err())
	}
	return done.Ok().Rows, nil
}

func open() (*database, error) {
	opened := fermyon_spin_sqlite.ConnectionOpen("default")
	if opened.IsErr() {
		return nil, failed("the database", opened.Err())
	}
	db := opened.Ok()
	if _, err := execute(db, schema); err != nil {
		db.Drop()
		return nil, err
	}
	return db, nil
}

// ---- what comes in ----

// parse reads lines of PLACE,VALUE or PLACE,VALUE,NOTE.
func parse(text []byte) ([]reading, error) {
	lines := csv.NewReader(bytes.NewReader(text))
	lines.FieldsPerRecord = -1
	lines.TrimLeadingSpace = true
	lines.Comment = '#'
	readings := []reading{}
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			break
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			return nil, refused{400, fmt.Sprintf("line %d: %v", wrong.Line, wrong.Err)}
		}
		line, _ := lines.FieldPos(0)
		if len(fields) != 2 && len(fields) != 3 {
			return nil, refused{400, fmt.Sprintf("line %d: it is PLACE,VALUE or PLACE,VALUE,NOTE", line)}
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(fields[1]), 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, refused{400, fmt.Sprintf("line %d: %q is no number", line, fields[1])}
		}
		one := reading{Place: strings.TrimSpace(fields[0]), Value: value}
		if len(fields) == 3 {
			one.Note = strings.TrimSpace(fields[2])
		}
		if one.Place == "" || len(one.Place) > wordMax || len(one.Note) > noteMax {
			return nil, refused{400, fmt.Sprintf("line %d: a place has 1 to %d bytes, a note up to %d", line, wordMax, noteMax)}
		}
		readings = append(readings, one)
	}
	if len(readings) == 0 {
		return nil, refused{400, "there are no readings in it"}
	}
	return readings, nil
}

func add(text []byte, person string) (any, error) {
	readings, err := parse(text)
	if err != nil {
		return nil, err
	}
	db, err := open()
	if err != nil {
		return nil, err
	}
	defer db.Drop()
	rows, err := json.Marshal(readings)
	if err != nil {
		return nil, err
	}
	_, err = execute(db, insert, fermyon_spin_sqlite.MakeValueText(string(rows)),
		fermyon_spin_sqlite.MakeValueText(person))
	if err != nil {
		return nil, err
	}
	return map[string]any{"added": len(readings), "person": person}, nil
}

// ---- what comes out ----

// describe makes the statistics of one place; values are sorted.
func describe(name string, values []float64) place {
	count := float64(len(values))
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	mean, squares := sum/count, 0.0
	for _, value := range values {
		squares += (value - mean) * (value - mean)
	}
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + values[middle]) / 2
	}
	return place{name, len(values), values[0], values[len(values)-1], mean, median, math.Sqrt(squares / count)}
}

func places(db *database) ([]place, error) {
	rows, err := execute(db, fmt.Sprintf(`SELECT place, value FROM (SELECT place, value FROM readings ORDER BY id DESC LIMIT %d)
		ORDER BY place, value`, rowsMax))
	if err != nil {
		return nil, err
	}
	found, name, values := []place{}, "", []float64{}
	for _, row := range rows {
		if next := row.Values[0].Text(); next != name {
			if len(values) > 0 {
				found = append(found, describe(name, values))
			}
			name, values = next, values[:0]
		}
		values = append(values, row.Values[1].Real())
	}
	if len(values) > 0 {
		found = append(found, describe(name, values))
	}
	return found, nil
}

func notes(db *database) ([]note, error) {
	rows, err := execute(db, fmt.Sprintf(
		"SELECT place, person, note FROM readings WHERE note <> '' ORDER BY id DESC LIMIT %d", notesMax))
	if err != nil {
		return nil, err
	}
	found := []note{}
	for _, row := range rows {
		found = append(found, note{row.Values[0].Text(), row.Values[1].Text(), row.Values[2].Text()})
	}
	return found, nil
}

func summary() (any, error) {
	db, err := open()
	if err != nil {
		return nil, err
	}
	defer db.Drop()
	allPlaces, err := places(db)
	if err != nil {
		return nil, err
	}
	allNotes, err := notes(db)
	if err != nil {
		return nil, err
	}
	return map[string]any{"places": allPlaces, "notes": allNotes}, nil
}

// ---- requests ----

// What is part of something else is dropped before it, by hand: the collector knows no such order.
func readAll(body *wasi_http_types.IncomingBody) ([]byte, error) {
	defer body.Drop()
	from := body.Stream().Ok()
	defer from.Drop()
	var text []byte
	for {
		read := from.BlockingRead(65536)
		if read.IsErr() && read.Err().Tag() == wasi_io_streams.StreamErrorClosed {
			return text, nil
		}
		if read.IsErr() {
			return nil, refused{400, "the body broke off"}
		}
		if text = append(text, read.Ok()...); len(text) > bodyMax {
			return nil, refused{413, "these are too many readings at once"}
		}
	}
}

func answer(request *wasi_http_types.IncomingRequest) (any, error) {
	path, query, _ := strings.Cut(request.PathWithQuery().SomeOr(""), "?")
	method := request.Method()
	switch {
	case path == "/readings" && method.Tag() == wasi_http_types.MethodPost:
		text, err := readAll(request.Consume().Ok())
		if err != nil {
			return nil, err
		}
		asked, err := url.ParseQuery(query)
		if err != nil {
			return nil, refused{400, "the query is none"}
		}
		return add(text, asked.Get("person"))
	case path == "/summary" && method.Tag() == wasi_http_types.MethodGet:
		return summary()
	case path == "/readings" || path == "/summary":
		return nil, refused{405, "not with this method"}
	}
	return nil, refused{404, "no such path"}
}

func respond(out *wasi_http_types.ResponseOutparam, status uint16, text []byte) {
	headers := wasi_http_types.MakeFields()
	headers.Append("content-type", []byte("application/json"))
	response := wasi_http_types.MakeOutgoingResponse(headers)
	response.SetStatusCode(status)
	body := response.Body().Ok()
	wasi_http_types.ResponseOutparamSet(out,
		wit_types.Ok[*wasi_http_types.OutgoingResponse, wasi_http_types.ErrorCode](response))
	stream := body.Write().Ok()
	for len(text) > 0 {
		n := min(len(text), part)
		if stream.BlockingWriteAndFlush(text[:n]).IsErr() {
			stream.Drop()
			body.Drop()
			return
		}
		text = text[n:]
	}
	stream.Drop()
	wasi_http_types.OutgoingBodyFinish(body, wit_types.None[*wasi_http_types.Fields]())
}

// Handle is wasi:http/incoming-handler's.
func Handle(request *wasi_http_types.IncomingRequest, out *wasi_http_types.ResponseOutparam) {
	defer request.Drop()
	said, err := answer(request)
	status := uint16(200)
	var asked refused
	if errors.As(err, &asked) {
		status, said = asked.status, map[string]string{"error": asked.why}
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "stats:", err)
		status, said = 500, map[string]string{"error": err.Error()}
	}
	text, _ := json.Marshal(said)
	respond(out, status, text)
}
