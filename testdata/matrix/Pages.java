import java.awt.Color;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.plugins.tiff.BaselineTIFFTagSet;
import javax.imageio.plugins.tiff.TIFFDirectory;
import javax.imageio.plugins.tiff.TIFFField;
import javax.imageio.plugins.tiff.TIFFTag;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageOutputStream;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.rendering.PDFRenderer;

/**
 * Java ImageIO and PDFBox for the matrix of tests.
 *
 * <pre>
 * Pages write OUT.tif COMPRESSION (little | big) IN.pnm...   each IN a page, at 204 x 98 pixels per inch
 * Pages read IN.tif           writes page-1.pnm and so on; prints the pixels per inch of each page, across and down
 * Pages pdf IN.pdf W1xH1...   draws each page in so many pixels as page-1.pnm and so on; prints the points of each page
 * </pre>
 */
final class Pages {
    public static void main(String[] args) throws Exception {
        System.setProperty("java.awt.headless", "true");
        switch (args[0]) {
            case "write" -> write(args);
            case "read" -> read(new File(args[1]));
            case "pdf" -> draw(args);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void write(String[] args) throws IOException {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("tiff").next();
        ImageWriteParam param = writer.getDefaultWriteParam();
        param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
        param.setCompressionType(args[2]);
        try (ImageOutputStream out = ImageIO.createImageOutputStream(new File(args[1]))) {
            out.setByteOrder(args[3].equals("little") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
            writer.setOutput(out);
            writer.prepareWriteSequence(null);
            for (int i = 4; i < args.length; i++) {
                BufferedImage image = load(args[i]);
                ImageTypeSpecifier type = new ImageTypeSpecifier(image);
                TIFFDirectory d = TIFFDirectory.createFromMetadata(writer.getDefaultImageMetadata(type, param));
                BaselineTIFFTagSet tags = BaselineTIFFTagSet.getInstance();
                d.addTIFFField(resolution(tags.getTag(BaselineTIFFTagSet.TAG_X_RESOLUTION), 204));
                d.addTIFFField(resolution(tags.getTag(BaselineTIFFTagSet.TAG_Y_RESOLUTION), 98));
                d.addTIFFField(new TIFFField(tags.getTag(BaselineTIFFTagSet.TAG_RESOLUTION_UNIT), 2));
                writer.writeToSequence(new IIOImage(image, null, d.getAsMetadata()), param);
            }
            writer.endWriteSequence();
        }
    }

    private static TIFFField resolution(TIFFTag tag, long value) {
        return new TIFFField(tag, TIFFTag.TIFF_RATIONAL, 1, new long[][] {{value, 1}});
    }

    private static void read(File file) throws IOException {
        ImageReader reader = ImageIO.getImageReadersByFormatName("tiff").next();
        try (ImageInputStream in = ImageIO.createImageInputStream(file)) {
            reader.setInput(in);
            for (int i = 0; i < reader.getNumImages(true); i++) {
                TIFFDirectory d = TIFFDirectory.createFromMetadata(reader.getImageMetadata(i));
                System.out.println(d.getTIFFField(BaselineTIFFTagSet.TAG_X_RESOLUTION).getAsDouble(0) + " "
                    + d.getTIFFField(BaselineTIFFTagSet.TAG_Y_RESOLUTION).getAsDouble(0));
                save(reader.read(i), i + 1);
            }
        }
    }

    private static void draw(String[] args) throws IOException {
        try (PDDocument doc = PDDocument.load(new File(args[1]))) {
            PDFRenderer renderer = new PDFRenderer(doc);
            RenderingHints hints = new RenderingHints(RenderingHints.KEY_INTERPOLATION,
                RenderingHints.VALUE_INTERPOLATION_NEAREST_NEIGHBOR);
            renderer.setRenderingHints(hints);
            for (int i = 0; i < doc.getNumberOfPages(); i++) {
                float wide = doc.getPage(i).getMediaBox().getWidth();
                float high = doc.getPage(i).getMediaBox().getHeight();
                System.out.println(wide + " " + high);
                String[] size = args[2 + i].split("x");
                int w = Integer.parseInt(size[0]);
                int h = Integer.parseInt(size[1]);
                BufferedImage image = new BufferedImage(w, h, BufferedImage.TYPE_INT_RGB);
                var g = image.createGraphics();
                g.setBackground(Color.WHITE);
                renderer.renderPageToGraphics(i, g, w / wide, h / high);
                g.dispose();
                save(image, i + 1);
            }
        }
    }

    /** Loads a binary PNM file without comments. */
    private static BufferedImage load(String path) throws IOException {
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(path)))) {
            String kind = word(in);
            int width = Integer.parseInt(word(in));
            int height = Integer.parseInt(word(in));
            if (kind.equals("P4")) {
                return bilevel(in, width, height);
            }
            word(in); // levels
            int samples = kind.equals("P5") ? 1 : 3;
            var image = new BufferedImage(width, height, samples == 1 ? BufferedImage.TYPE_BYTE_GRAY : BufferedImage.TYPE_3BYTE_BGR);
            for (int i = 0; i < width * height * samples; i++) {
                int pixel = i / samples;
                image.getRaster().setSample(pixel % width, pixel / width, i % samples, in.readUnsignedByte());
            }
            return image;
        }
    }

    private static BufferedImage bilevel(DataInputStream in, int width, int height) throws IOException {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_BINARY);
        byte[] row = new byte[(width + 7) / 8];
        for (int y = 0; y < height; y++) {
            in.readFully(row);
            for (int x = 0; x < width; x++) {
                image.getRaster().setSample(x, y, 0, row[x / 8] >> (7 - x % 8) & 1 ^ 1);
            }
        }
        return image;
    }

    private static String word(DataInputStream in) throws IOException {
        StringBuilder word = new StringBuilder();
        for (int c = in.read(); c > ' '; c = in.read()) {
            word.append((char) c);
        }
        return word.toString();
    }

    private static void save(BufferedImage image, int number) throws IOException {
        try (var out = new BufferedOutputStream(new FileOutputStream("page-" + number + ".pnm"))) {
            out.write(("P6\n" + image.getWidth() + " " + image.getHeight() + "\n255\n").getBytes());
            for (int y = 0; y < image.getHeight(); y++) {
                for (int x = 0; x < image.getWidth(); x++) {
                    int rgb = image.getRGB(x, y);
                    if (image.getType() == BufferedImage.TYPE_BYTE_GRAY) {
                        rgb = image.getRaster().getSample(x, y, 0) * 0x010101; // getRGB takes gray as linear light
                    }
                    out.write(rgb >> 16);
                    out.write(rgb >> 8);
                    out.write(rgb);
                }
            }
        }
    }

    private Pages() {}
}
