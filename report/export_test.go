package report

// DisplayWidth lets the properties measure lines.
var DisplayWidth = displayWidth
