package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestUnclosedStreamsAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	log := &natsLog{logger: slog.New(slog.NewTextHandler(&out, nil))}
	for _, stream := range []string{"AVSTEM_OBSERVED", "AVSTEM_FINDINGS", "KV_AVSTEM_LEASES"} {
		log.Warnf("Filestore [%s] Stream state outdated, last block has additional entries, will rebuild", stream)
	}
	log.Warnf("Filestore [%s] Checksums do not match", "AVSTEM_FINDINGS")
	said := out.String()
	if strings.Count(said, "\n") != 2 || strings.Count(said, "indexes are made again") != 1 || !strings.Contains(said, "level=WARN") || strings.Contains(said, "rebuild") {
		t.Errorf("it says:\n%s", said)
	}
}
