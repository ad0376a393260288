using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.TestKit;

/// <summary>A file of a repository of a <see cref="HubDouble"/>.</summary>
public sealed class HubDoubleFile
{
    internal HubDoubleFile(RemoteContent content, bool isLarge)
    {
        (IsLarge, Served) = (isLarge, new RemoteFile(content));
        // As git names it.
#pragma warning disable CA5350
        Tag = isLarge ? HashOf(content, SHA256.Create(), "") : HashOf(content, SHA1.Create(), string.Create(CultureInfo.InvariantCulture, $"blob {content.Length}\0"));
#pragma warning restore CA5350
        Served.EntityTag = isLarge ? "\"of-the-storage\"" : $"\"{Tag}\"";
    }

    /// <summary>Whether its bytes are another host's.</summary>
    public bool IsLarge { get; }

    /// <summary>The name that the Hub gives its content: what it is, unless a test says otherwise.</summary>
    public string Tag { get; set; }

    /// <summary>What serves its bytes; faults go there.</summary>
    public RemoteFile Served { get; }

    private static string HashOf(RemoteContent content, HashAlgorithm hash, string start)
    {
        using (hash)
        {
            var bytes = Encoding.ASCII.GetBytes(start);
            hash.TransformBlock(bytes, 0, bytes.Length, null, 0);
            var buffer = new byte[1 << 20];
            for (long offset = 0; offset < content.Length; offset += buffer.Length)
            {
                var count = (int)Math.Min(buffer.Length, content.Length - offset);
                content.Read(offset, buffer.AsSpan(0, count));
                hash.TransformBlock(buffer, 0, count, null, 0);
            }

            hash.TransformFinalBlock([], 0, 0);
            return Convert.ToHexStringLower(hash.Hash!);
        }
    }
}
