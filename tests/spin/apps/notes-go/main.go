// Notes: kept in SQLite, counted in the key-value store, with a fact of the day from another server.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"

	spinhttp "github.com/spinframework/spin-go-sdk/v3/http"
	"github.com/spinframework/spin-go-sdk/v3/kv"
	"github.com/spinframework/spin-go-sdk/v3/sqlite"
	"github.com/spinframework/spin-go-sdk/v3/variables"
)

type note struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

func fail(w http.ResponseWriter, err error) {
	fmt.Fprintln(os.Stderr, "failed:", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

func open() (*sql.DB, error) {
	db := sqlite.Open("default")
	_, err := db.Exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	return db, err
}

// count adds one to the number of notes that were ever written.
func count() (int, error) {
	store, err := kv.OpenDefault()
	if err != nil {
		return 0, err
	}
	written := 0
	if there, err := store.Exists("written"); err != nil {
		return 0, err
	} else if there {
		value, err := store.Get("written")
		if err != nil {
			return 0, err
		}
		if written, err = strconv.Atoi(string(value)); err != nil {
			return 0, err
		}
	}
	written++
	return written, store.Set("written", []byte(strconv.Itoa(written)))
}

func write(w http.ResponseWriter, r *http.Request) {
	token, err := variables.Get("token")
	if err != nil {
		fail(w, err)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, err)
		return
	}
	db, err := open()
	if err != nil {
		fail(w, err)
		return
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO notes (text) VALUES (?)", string(text)); err != nil {
		fail(w, err)
		return
	}
	written, err := count()
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "note %d\n", written)
}

func list(w http.ResponseWriter) {
	db, err := open()
	if err != nil {
		fail(w, err)
		return
	}
	defer db.Close()
	rows, err := db.Query("SELECT id, text FROM notes ORDER BY id")
	if err != nil {
		fail(w, err)
		return
	}
	notes := []note{}
	for rows.Next() {
		var one note
		if err := rows.Scan(&one.ID, &one.Text); err != nil {
			fail(w, err)
			return
		}
		notes = append(notes, one)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(notes)
}

func fact(w http.ResponseWriter) {
	host, err := variables.Get("facts")
	if err != nil {
		fail(w, err)
		return
	}
	response, err := spinhttp.Get(host + "/today")
	if err != nil {
		fail(w, err)
		return
	}
	defer response.Body.Close()
	w.Header().Set("X-Fact-Status", strconv.Itoa(response.StatusCode))
	io.Copy(w, response.Body)
}

func page(w http.ResponseWriter) {
	text, err := os.ReadFile(path.Join("/assets", os.Getenv("PAGE")))
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.Write(text)
}

func init() {
	spinhttp.Handle(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			page(w)
		case r.URL.Path == "/title":
			title, err := variables.Get("title")
			if err != nil {
				fail(w, err)
				return
			}
			fmt.Fprintln(w, title)
		case r.URL.Path == "/fact":
			fact(w)
		case r.URL.Path == "/notes" && r.Method == http.MethodPost:
			write(w, r)
		case r.URL.Path == "/notes":
			list(w)
		case r.URL.Path == "/elsewhere":
			if _, err := spinhttp.Get("http://elsewhere.example.com/"); err != nil {
				http.Error(w, "not allowed", http.StatusForbidden)
			}
		default:
			http.NotFound(w, r)
		}
	})
}

func main() {}
