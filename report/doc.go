// Package report writes what the reconciler found for people and for programs:
// findings as a table, JSON, CSV or Markdown, and the explanation of one VM,
// host or finding as text or JSON, always from the same values.
//
// It computes nothing about drift: a number that it prints was counted from the
// findings and the result that it was given. It reads no clock and no
// environment; the caller says how wide the page is, what time it is and
// whether colour is wanted.
//
// What hosts and Sentral say is data and never an instruction to the reader's
// terminal, spreadsheet or browser: control characters are escaped in every
// format, formulas are neutralised in CSV, markup in Markdown.
//
// Nothing here keeps state, so everything may be called at once.
package report
