// Package record without notifications: events of runs go nowhere. It stands in for utils/record/record.go.
package record

import "k8s.io/apimachinery/pkg/runtime"

type EventOptions struct {
	EventType   string
	EventReason string
}

type EventRecorder interface {
	Eventf(object runtime.Object, opts EventOptions, messageFmt string, args ...any)
}

type Silent struct{}

func (Silent) Eventf(runtime.Object, EventOptions, string, ...any) {}
