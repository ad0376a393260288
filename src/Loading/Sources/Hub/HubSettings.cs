using System.Text;

namespace IlgpuLoader.Loading;

/// <summary>Which Hub is asked, as whom, and where its cache is: the settings of huggingface_hub. Immutable.</summary>
public sealed record HubSettings
{
    /// <summary>The Hub.</summary>
    public static Uri DefaultEndpoint { get; } = new("https://huggingface.co");

    /// <summary>Where the Hub is (<c>HF_ENDPOINT</c>). The token goes there and nowhere else.</summary>
    /// <exception cref="ArgumentException">It is no address of http or https, or has a user, a query or a fragment.</exception>
    public Uri Endpoint
    {
        get;
        init => field = RemoteSetting.CheckEndpoint(value, nameof(Endpoint));
    } = DefaultEndpoint;

    /// <summary>The token (<c>HF_TOKEN</c>, else the file at <c>HF_TOKEN_PATH</c> or <c>$HF_HOME/token</c>; none where <c>HF_HUB_DISABLE_IMPLICIT_TOKEN</c> says so); null for none. It is never part of a text.</summary>
    /// <exception cref="ArgumentException">It has other characters than printable ones of ASCII.</exception>
    public string? Token
    {
        get;
        init => field = RemoteSetting.CheckToken(value, nameof(Token));
    }

    /// <summary>The cache (<c>HF_HUB_CACHE</c>, else <c>$HF_HOME/hub</c>). Default: <c>~/.cache/huggingface/hub</c>.</summary>
    public string CacheFolder
    {
        get;
        init
        {
            ArgumentException.ThrowIfNullOrEmpty(value);
            field = Path.GetFullPath(value);
        }
    } = Path.Combine(RemoteSetting.HomeFolder(null), ".cache", "huggingface", "hub");

    /// <summary>Whether snapshots are symbolic links to blobs; else each has its own files (<c>HF_HUB_DISABLE_SYMLINKS</c>). Where the system refuses links, they are files in any case.</summary>
    public bool UsesLinks { get; init; } = true;

    /// <summary>What the variables of an environment say, as huggingface_hub reads them.</summary>
    /// <param name="environment">Gives the value of a variable, null where it is not set; null for the environment of this process.</param>
    /// <exception cref="ArgumentException">A variable has a value that cannot be; the message names it.</exception>
    public static HubSettings FromEnvironment(Func<string, string?>? environment = null)
    {
        var read = RemoteSetting.Reader(environment);
        var home = RemoteSetting.PathOf("HF_HOME", read)
            ?? Path.Combine(RemoteSetting.PathOf("XDG_CACHE_HOME", read) ?? Path.Combine(RemoteSetting.HomeFolder(read), ".cache"), "huggingface");
        return new HubSettings
        {
            Endpoint = RemoteSetting.EndpointOf("HF_ENDPOINT", read) ?? DefaultEndpoint,
            CacheFolder = RemoteSetting.PathOf("HF_HUB_CACHE", read) ?? RemoteSetting.PathOf("HUGGINGFACE_HUB_CACHE", read) ?? Path.Combine(home, "hub"),
            // Whoever disables it wants no token to be sent that the program was not given.
            Token = RemoteSetting.IsTrue(read("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
                ? null
                // What it is called, and what it was called.
                : RemoteSetting.TokenOf("HF_TOKEN", read("HF_TOKEN")) ?? RemoteSetting.TokenOf("HUGGING_FACE_HUB_TOKEN", read("HUGGING_FACE_HUB_TOKEN"))
                    ?? ReadToken(RemoteSetting.PathOf("HF_TOKEN_PATH", read) ?? Path.Combine(home, "token")),
            UsesLinks = !RemoteSetting.IsTrue(read("HF_HUB_DISABLE_SYMLINKS")),
        };
    }

    /// <summary>The settings without the token.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"{nameof(HubSettings)} {{ ");
        _ = PrintMembers(text);
        return text.Append(" }").ToString();
    }

    // A record would print the token.
    private bool PrintMembers(StringBuilder builder)
    {
        builder.Append($"{nameof(Endpoint)} = {Endpoint}, {nameof(Token)} = {(Token is null ? "none" : "set")}, {nameof(CacheFolder)} = {CacheFolder}, {nameof(UsesLinks)} = {UsesLinks}");
        return true;
    }

    private static string? ReadToken(string path)
    {
        try
        {
            return File.Exists(path) ? RemoteSetting.TokenOf(path, File.ReadAllText(path)) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The token of the Hub cannot be read from {path}: {exception.Message} Set HF_TOKEN, or mend the file.", nameof(path), exception);
        }
    }
}
