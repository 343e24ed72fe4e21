package tiff_test
import ("testing";"os";"strings";"encoding/hex";"fmt";"context"
"github.com/faxstream/faxstream/pipeline/tiff")
func TestZZ(t *testing.T){
 csv,_:=os.ReadFile("/tmp/gen.csv"); n,bad:=0,0
 for _,l:=range strings.Split(strings.TrimSpace(string(csv)),"\n"){
  c:=strings.Split(l,",")
  data,_:=os.ReadFile("/tmp/faxgen/"+c[0])
  f,err:=tiff.Parse(data,tiff.Limits{}); if err!=nil{t.Error(c[0],err);continue}
  var pg int; fmt.Sscan(c[1],&pg)
  im,err:=f.Page(pg); if err!=nil{t.Error(c[0],err);continue}
  d,err:=im.Decode(context.Background()); n++
  if err!=nil{t.Error(c[0],pg,err);continue}
  s:=d.Raster.SHA256()
  if hex.EncodeToString(s[:])!=c[22] || len(d.BadRows)>0 { bad++
   t.Errorf("%s p%d status %s comp %s: %dx%d black %d; want %sx%s %s; bad %v warn %.200q", c[0],pg,c[19],c[4],d.Raster.Width,d.Raster.Height,d.Raster.BlackPixels(),c[10],c[11],c[23],d.BadRows,d.Warnings) }
 }
 fmt.Println(n,bad)
}
