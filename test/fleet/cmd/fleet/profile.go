package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// profile is of the CPU while it lasts, and of the heap at its end.
type profile struct {
	dir string
	cpu *os.File
}

// startProfile begins one, or none without a directory.
func startProfile(dir string) (*profile, error) {
	if dir == "" {
		return nil, nil
	}
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	return &profile{dir, cpu}, pprof.StartCPUProfile(cpu)
}

func (p *profile) end() error {
	if p == nil {
		return nil
	}
	pprof.StopCPUProfile()
	runtime.GC()
	heap, err := os.Create(filepath.Join(p.dir, "heap.pprof"))
	if err != nil {
		return errors.Join(err, p.cpu.Close())
	}
	return errors.Join(pprof.WriteHeapProfile(heap), heap.Close(), p.cpu.Close())
}
