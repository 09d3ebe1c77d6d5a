package main

import "fmt"

// What a request is answered with. Types and functions are in http.go.
func handle(request *Request, response *Response) {
	response.Header("content-type", "text/plain")
	fmt.Fprintf(response, "Hello from @project-name@! You asked for %s\n", request.Path)
}

// Never called: a component is entered by its requests.
func main() {}
