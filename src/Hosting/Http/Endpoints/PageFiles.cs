using System.Collections.Frozen;
using System.Reflection;
using System.Security.Cryptography;

namespace IlgpuLoader.Hosting;

/// <summary>The files of the page, which are resources <c>page/FILE</c> of an assembly, in memory. Immutable.</summary>
internal sealed class PageFiles
{
    private const string Prefix = "page/";

    private readonly FrozenDictionary<string, PageFile> _files;

    /// <summary>Takes those of an assembly.</summary>
    public PageFiles(Assembly assembly)
        : this(assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => (name[Prefix.Length..], Read(assembly, name))))
    {
    }

    /// <summary>Takes files by their names below <c>page/</c>.</summary>
    internal PageFiles(IEnumerable<(string Name, byte[] Content)> files) => _files = files.ToFrozenDictionary(
        file => file.Name,
        file => new PageFile(file.Content, ContentTypeOf(file.Name), $"\"{Convert.ToHexStringLower(SHA256.HashData(file.Content).AsSpan(0, 16))}\""),
        StringComparer.Ordinal);

    /// <summary>A file by its name below <c>page/</c>; null where there is none.</summary>
    public PageFile? Find(string name) => _files.GetValueOrDefault(name);

    private static byte[] Read(Assembly assembly, string name)
    {
        using var stream = assembly.GetManifestResourceStream(name)!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    private static string ContentTypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" or ".mjs" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        ".png" => "image/png",
        ".json" => "application/json",
        _ => "application/octet-stream",
    };
}

/// <summary>A file of the page.</summary>
/// <param name="Content">Its bytes.</param>
/// <param name="ContentType">What it is.</param>
/// <param name="Tag">Its entity tag.</param>
internal sealed record PageFile(byte[] Content, string ContentType, string Tag);
