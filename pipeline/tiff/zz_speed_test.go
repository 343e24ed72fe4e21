package tiff
import ("testing";"os";"fmt";"context";"time";"sort";"github.com/faxstream/faxstream/pipeline/ccitt";"strings")
func TestZZSpeed(t *testing.T){
 for _,p:=range []string{"text","halftone","dense"}{ for _,c:=range []string{"g4","g31d","g32d","g31dfill","g32dfill"}{
  name:=p+"."+c+".lsb2msb.L.tif"
  data,err:=os.ReadFile("/tmp/faxgen/"+name); if err!=nil{t.Skip()}
  f,_:=Parse(data,Limits{}); im,_:=f.Page(0)
  o,s,_:=im.segments(); src:=data[o[0]:o[0]+s[0]]
  var d *Decoded
  d,err=im.Decode(context.Background()); if err!=nil{t.Fatal(err)}
  dst:=make([]byte,0,len(d.Raster.Pix)+64)
  _ = dst
  r:=im.tagged()
  dec:=measure(20,func(){ ccitt.Decode(dst,src,ccitt.Options{Coding:r.coding,Width:im.Width,Rows:im.Height,LSBFirst:r.lsb}) })
  out:=make([]byte,0,4<<20)
  enc:=measure(12,func(){ if c=="g4"{ out=ccitt.AppendG4(out[:0],d.Raster.Pix,im.Width,im.Height,d.Raster.Stride)} else { out=ccitt.AppendG3(out[:0],d.Raster.Pix,im.Width,im.Height,d.Raster.Stride,ccitt.G3Options{TwoD:strings.Contains(c,"2d"),Fill:strings.Contains(c,"fill")})} })
  fmt.Printf("%-34s decode med %8.0f min %8.0f  encode med %8.0f min %8.0f  size %d vs %d\n",name,dec[10],dec[0],enc[6],enc[0],len(out),len(src))
 }}
}
func measure(n int,f func()) []float64 { var r []float64; for range n { a:=time.Now(); f(); r=append(r,float64(time.Since(a).Nanoseconds())/1e3)}; sort.Float64s(r); return r }
