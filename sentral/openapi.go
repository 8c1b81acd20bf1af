package sentral

import _ "embed"

//go:embed openapi.yaml
var openAPI string

// OpenAPI is the description (OpenAPI 3.1) of the HTTP API that avstem reads
// the inventory from; its records are those of [Schema].
func OpenAPI() []byte { return []byte(openAPI) }
