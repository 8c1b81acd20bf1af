package report

// DisplayWidth lets the properties measure lines.
var DisplayWidth = displayWidth
var Scale = scale
