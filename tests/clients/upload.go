// Go's net/http and mime/multipart.
package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	how, address, token, extended := os.Args[1], os.Args[2], os.Args[3], os.Args[5]
	content, err := os.ReadFile(os.Args[4])
	must(err)
	name, err := os.ReadFile(os.Args[6])
	must(err)
	method, kind, body := "PUT", "image/jpeg", bytes.NewBuffer(content)
	if how == "post" {
		body = &bytes.Buffer{}
		writer := multipart.NewWriter(body)
		part, err := writer.CreateFormFile("file", string(name))
		must(err)
		part.Write(content)
		must(writer.Close())
		method, kind = "POST", writer.FormDataContentType()
	}
	request, err := http.NewRequest(method, address, body)
	must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", kind)
	if how == "put" {
		request.Header.Set("Content-Disposition", "attachment; filename*="+extended)
	}
	answer, err := http.DefaultClient.Do(request)
	must(err)
	text, err := io.ReadAll(answer.Body)
	must(err)
	fmt.Printf("%d\n%s", answer.StatusCode, text)
}
