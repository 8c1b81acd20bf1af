package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// intendedSchema is the version of what stands on AVSTEM_INTENDED.
const intendedSchema = "avstem.intended/v1"

// What the headers tell of a record, so that a writer that starts again need not
// read all of them.
const (
	headerDigest   = "Avstem-Digest"
	headerRecordID = "Avstem-Record"
)

// IntendedRecord is one version of one record of the system of record. One of
// Record, LeftOut and Gone is set; the bus doesn't look into the first two.
type IntendedRecord struct {
	Schema  string          `json:"schema"`
	Site    string          `json:"site"` // whose reconciler wrote it down
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Where   string          `json:"where,omitempty"`   // file:line:column, or what the source has instead
	Source  string          `json:"source,omitempty"`  // of the inventory
	Version string          `json:"version,omitempty"` // of the inventory that had it first
	Record  json.RawMessage `json:"record,omitempty"`
	LeftOut json.RawMessage `json:"leftOut,omitempty"` // why it can't be used
	Gone    bool            `json:"gone,omitempty"`
}

// digest is over what the record says, and not over where it stands.
func (r *IntendedRecord) digest() string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%t\x00%s\x00%s", r.Gone, r.Record, r.LeftOut)
	return base32.HexEncoding.EncodeToString(hash.Sum(nil)[:15])
}

var (
	plainID   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validType = regexp.MustCompile(`^[a-zA-Z]{1,32}$`)
)

// idToken is a record's ID as one token of a subject: itself where it can be one,
// else a hash, which begins with an underscore so that the two can't meet.
func idToken(id string) string {
	if plainID.MatchString(id) {
		return id
	}
	hash := sha256.Sum256([]byte(id))
	return "_" + strings.ToLower(base32.HexEncoding.EncodeToString(hash[:15]))
}

// IntendedSubject is where the versions of a record are kept.
func IntendedSubject(site, recordType, id string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	if !validType.MatchString(recordType) || id == "" {
		return "", fmt.Errorf("record %q of type %q has no subject", id, recordType)
	}
	return strings.Join([]string{intendedPrefix, site, recordType, idToken(id)}, "."), nil
}

// IntendedType is the type of record whose versions are kept on a subject.
func IntendedType(subject string) (string, error) {
	tokens, err := split(subject, intendedPrefix, 3)
	if err != nil {
		return "", err
	}
	return tokens[1], nil
}

// IntendedIn is the subject of all records of a type, or of every type for "".
func IntendedIn(site, recordType string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	if recordType == "" {
		return intendedPrefix + "." + site + ".*.*", nil
	}
	if !validType.MatchString(recordType) {
		return "", fmt.Errorf("%q is not a type of record", recordType)
	}
	return intendedPrefix + "." + site + "." + recordType + ".*", nil
}

// KeepIntended writes a version of a record down and waits until the stream has
// it.
func (c *Conn) KeepIntended(ctx context.Context, r *IntendedRecord) error {
	subject, err := IntendedSubject(r.Site, r.Type, r.ID)
	if err != nil {
		return fmt.Errorf("keep record: %w", err)
	}
	r.Schema = intendedSchema
	msg := nats.NewMsg(subject)
	if msg.Data, err = json.Marshal(r); err != nil {
		return fmt.Errorf("keep record %s %s: %w", r.Type, r.ID, err)
	}
	msg.Header.Set(headerDigest, r.digest())
	msg.Header.Set(headerRecordID, r.ID)
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("keep record %s %s: %w", r.Type, r.ID, streamError(err, StreamIntended))
	}
	return nil
}

// IntendedHead is the last version of a record that is kept, without what it says.
type IntendedHead struct {
	ID     string
	Digest string
	At     time.Time
}

// Head is what r is once it is kept.
func (r *IntendedRecord) Head(at time.Time) IntendedHead { return IntendedHead{r.ID, r.digest(), at} }

// Gone says whether the last that was said is that there is no such record.
func (h IntendedHead) Gone() bool { return h.Digest == (&IntendedRecord{Gone: true}).digest() }

// Says reports whether the kept version says what this one does.
func (h IntendedHead) Says(r *IntendedRecord) bool { return h.Digest == r.digest() }

// IntendedHeads gives the last version of every record of a site, by subject.
func (c *Conn) IntendedHeads(ctx context.Context, site string) (map[string]IntendedHead, error) {
	filter, err := IntendedIn(site, "")
	if err != nil {
		return nil, fmt.Errorf("read kept records: %w", err)
	}
	heads := map[string]IntendedHead{}
	err = c.read(ctx, StreamIntended, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true, MaxResetAttempts: 2, InactiveThreshold: ReadOnce,
	}, func(k Kept) error {
		heads[k.Subject] = IntendedHead{ID: k.Header.Get(headerRecordID), Digest: k.Header.Get(headerDigest), At: k.Time}
		return nil
	})
	return heads, err
}

// IntendedNow gives the last version of each record of a type, or of every type for
// "", as it stands when it begins.
func (c *Conn) IntendedNow(ctx context.Context, site, recordType string, take func(Kept) error) error {
	filter, err := IntendedIn(site, recordType)
	if err != nil {
		return fmt.Errorf("read kept records: %w", err)
	}
	return c.read(ctx, StreamIntended, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, MaxResetAttempts: 2, InactiveThreshold: ReadOnce,
	}, take)
}

// ForgetIntended removes all versions of a record that has been gone for long.
func (c *Conn) ForgetIntended(ctx context.Context, subject string) error {
	stream, err := c.js.Stream(ctx, StreamIntended)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		return fmt.Errorf("forget record %s: %w", subject, streamError(err, StreamIntended))
	}
	return nil
}

// DecodeIntended reads a message of AVSTEM_INTENDED. It refuses what isn't the
// record of its subject.
func DecodeIntended(k Kept) (*IntendedRecord, error) {
	r := new(IntendedRecord)
	if err := json.Unmarshal(k.Data, r); err != nil {
		return nil, fmt.Errorf("read record on %s: %w", k.Subject, err)
	}
	if r.Schema != intendedSchema {
		return nil, fmt.Errorf("read record on %s: schema %q is not %s: upgrade avstem", k.Subject, r.Schema, intendedSchema)
	}
	if subject, err := IntendedSubject(r.Site, r.Type, r.ID); err != nil || subject != k.Subject {
		return nil, fmt.Errorf("read record on %s: it claims to be %s %q of site %q", k.Subject, r.Type, r.ID, r.Site)
	}
	return r, nil
}
