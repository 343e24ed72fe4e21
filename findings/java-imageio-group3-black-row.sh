#!/usr/bin/env bash
# Java's own TIFF reader loses rows of a Group 3 page after a row that is black from edge to edge
#
# OpenJDK 17.0.21 (Debian 12); Temurin 25 does the same. ImageIO.read of a two-dimensional Group 3 page: a row is all black, the next one
# is coded from it and is white, black, white. From the next row in one dimension on, the rows are white or repeat others until the strip
# ends. There is no exception and no warning. Such rows are where a scanner's lid was open, or where a rule goes across the sheet.
# One-dimensional Group 3 and Group 4 of the same page are right, and libtiff reads all three alike. Expected: the page, or an error.
. "$(dirname "$0")/lib/setup.bash"
debian openjdk-17-jre-headless=17.0.21.1+2-1~deb12u1 netpbm=2:11.01.00-2 libtiff-tools=4.5.0-6+deb12u4 libtiff6=4.5.0-6+deb12u4

cat >Rows.java <<'JAVA'
import java.io.File;
import javax.imageio.ImageIO;

public class Rows {
  // prints the number of black pixels of each row
  public static void main(String[] args) throws Exception {
    var page = ImageIO.read(new File(args[0]));
    for (int y = 0; y < page.getHeight(); y++) {
      int black = 0;
      for (int x = 0; x < page.getWidth(); x++) if ((page.getRGB(x, y) & 255) == 0) black++;
      System.out.print((y > 0 ? " " : "") + black);
    }
  }
}
JAVA
row() { head -c "$1" /dev/zero; head -c "$2" /dev/zero | tr '\0' '\377'; head -c "$3" /dev/zero; } # bytes of white, black, white
{ printf 'P4\n1728 6\n'; for _ in 1 2 3; do row 0 216 0; row 60 80 76; done; } >root/work/page.pbm
in_root pamtotiff -quiet -miniswhite -g4 -output g4.tif page.pbm
in_root tiffcp -c g3:1d g4.tif g3-1d.tif
in_root tiffcp -c g3:2d g4.tif g3-2d.tif
java_rows() {
  env -i LD_LIBRARY_PATH="$TMP/root/usr/lib/x86_64-linux-gnu" root/usr/lib/jvm/java-17-openjdk-amd64/bin/java Rows.java "root/work/$1"
}
same() { in_root tifftopnm -quiet "$1" | cmp -s - root/work/page.pbm && echo same || echo differs; }
expect "libtiff, Group 3, 2-D" same "$(same g3-2d.tif)"
expect "Java, Group 4        " "1728 640 1728 640 1728 640" "$(java_rows g4.tif)"
expect "Java, Group 3, 1-D   " "1728 640 1728 640 1728 640" "$(java_rows g3-1d.tif)"
expect "Java, Group 3, 2-D   " "1728 640 1728 640 0 0" "$(java_rows g3-2d.tif)"
