using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A bucket and a key or prefix in it. Keys are taken as they are: nothing is decoded, as the AWS tools have it.</summary>
/// <param name="Bucket">The bucket.</param>
/// <param name="Key">The key or prefix, without a slash at its end; empty for the bucket itself.</param>
internal readonly record struct S3Address(string Bucket, string Key)
{
    /// <summary>The scheme.</summary>
    public const string Scheme = "s3";

    /// <summary>What addresses look like, for messages.</summary>
    public const string Form = "s3://BUCKET[/PREFIX or KEY]";

    // S3's own limit of a key in UTF-8.
    private const int LongestKey = 1024;

    // S3's limits of a bucket's name; old ones have up to 255 characters, capitals and underscores.
    private const int ShortestBucket = 3;
    private const int LongestBucket = 255;

    /// <summary>The folder that the key is in, as an address without a key's last part.</summary>
    public S3Address Folder => this with { Key = Key.LastIndexOf('/') is var slash and >= 0 ? Key[..slash] : "" };

    /// <summary>The key's last part.</summary>
    public string Name => Key[(Key.LastIndexOf('/') + 1)..];

    /// <summary>What the keys of what is in this folder begin with.</summary>
    public string Prefix => Key.Length == 0 ? "" : Key + "/";

    /// <summary>Reads an address.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    public static S3Address Parse(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (AddressScheme.Of(address) != Scheme)
        {
            throw Invalid(address, "its scheme is another one");
        }

        var rest = address[(Scheme.Length + "://".Length)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var (bucket, key) = slash < 0 ? (rest, "") : (rest[..slash], rest[(slash + 1)..].TrimEnd('/'));
        if (bucket.Length is < ShortestBucket or > LongestBucket || !bucket.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '.' or '_') || !char.IsAsciiLetterOrDigit(bucket[0]))
        {
            throw Invalid(address, $"a bucket's name has {ShortestBucket} to {LongestBucket} letters and digits of ASCII, '-', '.' and '_', and begins with a letter or digit");
        }

        return IsKey(key) ? new S3Address(bucket, key) : throw Invalid(address, $"a key has up to {LongestKey} bytes, no control characters, and no part that is '.' or '..'");
    }

    /// <summary>A file in this folder.</summary>
    public S3Address Of(string name) => this with { Key = Prefix + name };

    /// <summary>
    /// Whether a name is one of a file that lies directly in a folder, and can be asked for as it is: what has parts such as '..' would be another address once it is one, and what turns the direction of a text looks like another name.
    /// </summary>
    public static bool IsName(string name) => RemoteFileName.IsSafe(name) && IsKey(name) && Quoted.Plain(name) == name;

    /// <summary>Whether a key can be asked for as it is.</summary>
    public static bool IsKey(string key) =>
        key.Length <= LongestKey && Encoding.UTF8.GetByteCount(key) <= LongestKey && !key.Any(char.IsControl) && !key.Split('/').Any(part => part is "." or "..");

    /// <summary>The address, with what writes to a terminal escaped.</summary>
    public override string ToString() => Quoted.Plain(Key.Length == 0 ? $"{Scheme}://{Bucket}" : $"{Scheme}://{Bucket}/{Key}");

    private static ArgumentException Invalid(string address, string problem) => new($"{Quoted.Name(AddressScheme.WithoutSecrets(address))} is no address of an object storage: {problem}. The form is {Form}.", nameof(address));
}
