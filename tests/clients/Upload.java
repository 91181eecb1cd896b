import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The JDK's own client, with its default settings. */
public class Upload {
    public static void main(String[] words) throws Exception {
        String how = words[0], address = words[1], token = words[2], extended = words[4];
        String name = new String(Files.readAllBytes(Path.of(words[5])), StandardCharsets.UTF_8);
        byte[] content = Files.readAllBytes(Path.of(words[3]));
        HttpRequest.Builder request =
            HttpRequest.newBuilder(URI.create(address)).header("Authorization", "Bearer " + token);
        if (how.equals("put")) {
            request.header("Content-Type", "image/jpeg")
                .header("Content-Disposition", "attachment; filename*=" + extended)
                .PUT(BodyPublishers.ofByteArray(content));
        } else {
            ByteArrayOutputStream body = new ByteArrayOutputStream();
            body.write(("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name
                + "\"\r\nContent-Type: image/jpeg\r\n\r\n").getBytes(StandardCharsets.UTF_8));
            body.write(content);
            body.write("\r\n--edge--\r\n".getBytes(StandardCharsets.UTF_8));
            request.header("Content-Type", "multipart/form-data; boundary=edge")
                .POST(BodyPublishers.ofByteArray(body.toByteArray()));
        }
        var answer = HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
        System.out.write((answer.statusCode() + "\n" + answer.body()).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }
}
