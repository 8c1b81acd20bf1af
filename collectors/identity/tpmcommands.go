package identity

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// tpmCommands gives commands to a TPM, one at a time.
type tpmCommands struct {
	device  tpmDevice
	timeout time.Duration // of one command
}

// tpmDevice is an open TPM: what is written is a command, what is then read its
// answer.
type tpmDevice interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}

// Send implements transport.TPM.
func (t *tpmCommands) Send(command []byte) ([]byte, error) {
	if err := t.device.SetDeadline(time.Now().Add(t.timeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	if _, err := t.device.Write(command); err != nil {
		return nil, fmt.Errorf("give command: %w", err)
	}
	answer := make([]byte, 4096) // TPM_BUFSIZE of the kernel
	n, err := t.device.Read(answer)
	if err != nil {
		return nil, fmt.Errorf("await answer: %w", err)
	}
	return answer[:n], nil
}

func (t *tpmCommands) readPublic(at tpm2.TPMHandle) ([]byte, error) {
	answer, err := tpm2.ReadPublic{ObjectHandle: at}.Execute(t)
	if err != nil {
		return nil, err
	}
	public, err := answer.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	return keyBits(public)
}

// keyBits are a public key as a certificate's subjectPublicKey holds it.
func keyBits(public *tpm2.TPMTPublic) ([]byte, error) {
	key, err := tpm2.Pub(*public)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return x509.MarshalPKCS1PublicKey(key), nil
	case *ecdsa.PublicKey:
		return key.Bytes()
	}
	return nil, fmt.Errorf("it is a key of type %T", key)
}

// storageChunk is what one command reads of the TPM's storage: the least that
// the platform profile lets a TPM offer (TPM_PT_NV_BUFFER_MAX).
const storageChunk = 512

// readStorage reads what is stored under an index, with the empty password that
// vendors leave, and by no other.
func (t *tpmCommands) readStorage(at tpm2.TPMHandle) ([]byte, error) {
	answer, err := tpm2.NVReadPublic{NVIndex: at}.Execute(t)
	if err != nil {
		return nil, err
	}
	stored, err := answer.NVPublic.Contents()
	if err != nil {
		return nil, err
	}
	reader := tpm2.AuthHandle{Handle: at, Name: answer.NVName, Auth: tpm2.PasswordAuth(nil)}
	switch {
	case stored.Attributes.AuthRead:
	case stored.Attributes.OwnerRead:
		reader = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	default:
		return nil, errors.New("neither its own nor the owner's authorization may read it")
	}
	var data []byte
	for len(data) < int(stored.DataSize) {
		chunk := min(storageChunk, int(stored.DataSize)-len(data))
		part, err := tpm2.NVRead{
			AuthHandle: reader, NVIndex: tpm2.NamedHandle{Handle: at, Name: answer.NVName},
			Size: uint16(chunk), Offset: uint16(len(data)),
		}.Execute(t)
		if err != nil {
			return nil, err
		}
		if len(part.Data.Buffer) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		data = append(data, part.Data.Buffer...)
	}
	return data, nil
}
