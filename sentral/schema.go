package sentral

import _ "embed"

//go:embed schema.json
var schema string

// Schema is the JSON Schema (2020-12) of an inventory document. It says what
// can be said of one document; that IDs are unique and references lead
// somewhere is checked by [Assemble] over all of them.
func Schema() []byte { return []byte(schema) }
