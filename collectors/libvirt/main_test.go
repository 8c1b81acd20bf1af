package libvirt

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/dataverket/avstem/collectors"
)

// socketVariable makes the test's program a collector that makes one pass on the
// socket it names and writes the observation, for passes as another user.
const socketVariable = "AVSTEM_TEST_LIBVIRT_SOCKET"

func TestMain(m *testing.M) {
	socket := os.Getenv(socketVariable)
	if socket == "" {
		os.Exit(m.Run())
	}
	c := &Collector{Sockets: []string{socket}, Root: os.Getenv(socketVariable + "_ROOT")}
	o := (&collectors.Runner{Collector: c}).Run(context.Background())
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		panic(err)
	}
	if err := c.Close(); err != nil {
		panic(err)
	}
}
