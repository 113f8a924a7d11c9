package main

import (
	"encoding/json"
	"os"
	"text/template"
)

// render.go TEMPLATE < data.json: prints the template rendered by Go itself.
func main() {
	source, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var data map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&data); err != nil {
		panic(err)
	}
	if err := template.Must(template.New("t").Parse(string(source))).Execute(os.Stdout, data); err != nil {
		panic(err)
	}
}
