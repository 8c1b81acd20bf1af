package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// Watch implements [sentral.Source]. The server is asked at each interval and
// whenever its stream of events says that there is something new: events only
// say where to look, and what they don't tell the next interval finds.
func (c *Client) Watch(ctx context.Context, fn func(*sentral.Inventory)) {
	kept := sentral.NewKeeper(c.base.String(), fn)
	news := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.listen(ctx, news)
	}()
	defer func() { <-ended }()
	for {
		inv, err := c.Read(ctx)
		if ctx.Err() != nil {
			return
		}
		kept.Take(inv, err)
		pause := c.limits.poll
		if err != nil {
			pause = min(pause, c.limits.retry)
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-time.After(jittered(pause)):
		}
	}
}

// jittered keeps clients from asking all at once.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

// listen keeps a stream of events open and pokes for each, until ctx ends. A
// server that has no such stream is asked for it again every now and then.
func (c *Client) listen(ctx context.Context, news chan<- struct{}) {
	pause := c.limits.again
	for {
		began := time.Now()
		if c.hear(ctx, news) {
			poke(news) // the server may be gone
			if time.Since(began) > c.limits.again {
				pause = c.limits.again
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(jittered(pause)):
		}
		pause = min(2*pause, 10*c.limits.again)
	}
}

// hear reads one stream of events until it ends, and says whether there was one.
// What went wrong is not told: the same server is asked for the inventory, and
// that tells.
func (c *Client) hear(ctx context.Context, news chan<- struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := c.request(ctx, eventsPath)
	if err != nil {
		return false
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := c.http.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return false
	}
	dead := time.AfterFunc(c.limits.silent, cancel)
	defer dead.Stop()
	_ = readEvents(response.Body, func() { dead.Reset(c.limits.silent) }, func() { poke(news) })
	return true
}

func poke(news chan<- struct{}) {
	select {
	case news <- struct{}{}:
	default: // a look is due already
	}
}

// maxEventLine bounds one line of a stream of events.
const maxEventLine = 64 << 10

// readEvents reads a stream of server-sent events (HTML, 9.2.6) until it ends:
// alive is called for each line, told for each event with data.
func readEvents(r io.Reader, alive, told func()) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventLine)
	data := false
	for lines.Scan() {
		alive()
		line := lines.Text()
		switch {
		case line == "" && data:
			told()
			data = false
		case strings.HasPrefix(line, "data"):
			data = true
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("read events: a line is longer than %d bytes", maxEventLine)
	} else if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}
