package hostid

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// Provisioned is the host ID that an operator, an installer or configuration
// management put into the state directory (a file host-id with a UUID), before
// the agent's first start; the zero UUID where nobody did. It stays there, and a
// record that says something else is refused: which of two copies is right is
// not for the agent to guess.
func Provisioned(dir string) (uuid.UUID, error) {
	path := filepath.Join(dir, givenName)
	data, err := os.ReadFile(path)
	if missing(err) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("read provisioned host ID: %w", err)
	}
	id, err := inventory.ParseUUID(string(data))
	if err == nil {
		err = checkID(id)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("read provisioned host ID %s: %w: write a UUID into it (uuidgen -r makes one), or remove it", path, err)
	}
	return id, nil
}

// checkID refuses what can't be a host's ID for good.
func checkID(id uuid.UUID) error {
	switch {
	case id == uuid.Nil:
		return errors.New("it has no id")
	case inventory.IsJunkUUID(id):
		return fmt.Errorf("%s is a placeholder, which many machines show", id)
	case IsProvisional(id):
		return fmt.Errorf("its id %s is a provisional one, which is never kept", id)
	}
	return nil
}

// checkProvisioned refuses an ID beside a provisioned one that differs.
func checkProvisioned(dir string, id uuid.UUID) error {
	given, err := Provisioned(dir)
	if err != nil || given == uuid.Nil || given == id {
		return err
	}
	return fmt.Errorf("host IDs disagree: %s says %s, %s is to say %s: correct or remove the first, "+
		"or run `avstem-agent identity adopt %s --state-dir %s` if that is right",
		filepath.Join(dir, givenName), given, filepath.Join(dir, idName), id, given, dir)
}
