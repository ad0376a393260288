using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.Harness;

/// <summary>
/// Gives ranges of a folder's files over HTTP, and what the Hub says of a repository that has them. It parses what it must and no more, and sends from the page cache, so that
/// what is measured is who asks. Answers wait for a while first, as those of a far server do.
/// </summary>
/// <param name="folder">The folder.</param>
/// <param name="latency">How long each answer waits.</param>
internal sealed class RangeServer(string folder, TimeSpan latency)
{
    /// <summary>The repository's name.</summary>
    public const string Repository = "bench/model";

    /// <summary>Its only commit.</summary>
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    // More than requests of any client here.
    private const int LongestRequest = 16 << 10;

    private readonly Dictionary<string, string> _hashes = [];

    /// <summary>The SHA-256 of a file's bytes, as the Hub's ETags are.</summary>
    public static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>Serves until the process ends.</summary>
    /// <param name="listening">Told of the port.</param>
    public async Task RunAsync(Action<int> listening)
    {
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            _hashes[Path.GetFileName(path)] = HashOf(path);
        }

        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(512);
        listening(((IPEndPoint)listener.LocalEndpoint).Port);
        while (true)
        {
            var client = await listener.AcceptSocketAsync();
            client.NoDelay = true;
            _ = Task.Run(() => ServeAsync(client));
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            var buffer = new byte[LongestRequest];
            var filled = 0;
            try
            {
                while (true)
                {
                    int end;
                    while ((end = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) < 0)
                    {
                        var read = await client.ReceiveAsync(buffer.AsMemory(filled));
                        if (read == 0)
                        {
                            return;
                        }

                        filled += read;
                    }

                    var request = Encoding.Latin1.GetString(buffer, 0, end).Split("\r\n");
                    buffer.AsSpan(end + 4, filled - end - 4).CopyTo(buffer);
                    filled -= end + 4;
                    if (latency > TimeSpan.Zero)
                    {
                        await Task.Delay(latency);
                    }

                    await AnswerAsync(client, request);
                }
            }
            catch (SocketException)
            {
                // Whoever asked has gone.
            }
        }
    }

    private async Task AnswerAsync(Socket client, string[] request)
    {
        var line = request[0].Split(' ');
        var path = line[1].Split('?')[0];
        if (path.StartsWith($"/api/models/{Repository}/", StringComparison.Ordinal))
        {
            var siblings = string.Join(",", _hashes.Keys.Order(StringComparer.Ordinal).Select(name => $"{{\"rfilename\":\"{name}\"}}"));
            var json = Encoding.UTF8.GetBytes($"{{\"id\":\"{Repository}\",\"sha\":\"{Commit}\",\"siblings\":[{siblings}]}}");
            await client.SendAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {json.Length}\r\n\r\n"));
            await client.SendAsync(json);
            return;
        }

        var name = path[(path.LastIndexOf('/') + 1)..];
        if (!_hashes.TryGetValue(name, out var hash))
        {
            await client.SendAsync("HTTP/1.1 404 Not Found\r\nX-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            return;
        }

        // Through a link, whose own length is another.
        using var file = File.OpenHandle(Path.Combine(folder, name));
        var length = RandomAccess.GetLength(file);
        var (from, to, status) = (0L, length - 1, "200 OK");
        const string rangeStart = "range: bytes=";
        if (Array.Find(request, header => header.StartsWith(rangeStart, StringComparison.OrdinalIgnoreCase)) is { } range)
        {
            var ends = range[rangeStart.Length..].Split('-');
            from = long.Parse(ends[0], CultureInfo.InvariantCulture);
            to = ends[1].Length > 0 ? Math.Min(to, long.Parse(ends[1], CultureInfo.InvariantCulture)) : to;
            status = FormattableString.Invariant($"206 Partial Content\r\nContent-Range: bytes {from}-{to}/{length}");
        }

        await client.SendAsync(Encoding.Latin1.GetBytes(FormattableString.Invariant(
            $"HTTP/1.1 {status}\r\nContent-Length: {to - from + 1}\r\nAccept-Ranges: bytes\r\nETag: \"{hash}\"\r\nX-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {length}\r\nX-Repo-Commit: {Commit}\r\n\r\n")));
        if (line[0] != "HEAD")
        {
            await SendAsync(client, file, from, to - from + 1);
        }
    }

    // From the page cache to the socket, in parts that are in the core's cache for the second copy.
    private static async Task SendAsync(Socket client, Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, long length)
    {
        var buffer = new byte[256 << 10];
        while (length > 0)
        {
            var read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, length)), offset);
            for (var sent = 0; sent < read;)
            {
                sent += await client.SendAsync(buffer.AsMemory(sent, read - sent));
            }

            (offset, length) = (offset + read, length - read);
        }
    }
}
