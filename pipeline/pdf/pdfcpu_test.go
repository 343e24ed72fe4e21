package pdf

import (
	"bytes"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
)

// pdfcpuStrict is what pdfcpu has against a document.
func pdfcpuStrict(file []byte) error {
	api.DisableConfigDir() // it would write one into the user's home
	conf := model.NewDefaultConfiguration()
	conf.ValidationMode = model.ValidationStrict
	return api.Validate(bytes.NewReader(file), conf)
}
