using System.Text;

namespace IlgpuLoader.Loading;

/// <summary>Which ModelScope is asked, as whom, and where its cache is: the settings of ModelScope's own library. Immutable.</summary>
public sealed record ModelScopeSettings
{
    /// <summary>ModelScope.</summary>
    public static Uri DefaultEndpoint { get; } = new("https://www.modelscope.cn");

    /// <summary>Where ModelScope is (<c>MODELSCOPE_DOMAIN</c>). The token goes there and nowhere else.</summary>
    /// <exception cref="ArgumentException">It is no address of http or https, or has a user, a query or a fragment.</exception>
    public Uri Endpoint
    {
        get;
        init => field = RemoteSetting.CheckEndpoint(value, nameof(Endpoint));
    } = DefaultEndpoint;

    /// <summary>The token (<c>MODELSCOPE_API_TOKEN</c>); null for none. It is never part of a text.</summary>
    /// <exception cref="ArgumentException">It has other characters than printable ones of ASCII.</exception>
    public string? Token
    {
        get;
        init => field = RemoteSetting.CheckToken(value, nameof(Token));
    }

    /// <summary>The cache (<c>MODELSCOPE_CACHE</c>). Default: <c>~/.cache/modelscope/hub</c>; models lie below <c>models</c> in it.</summary>
    public string CacheFolder
    {
        get;
        init
        {
            ArgumentException.ThrowIfNullOrEmpty(value);
            field = Path.GetFullPath(value);
        }
    } = Path.Combine(RemoteSetting.HomeFolder(null), ".cache", "modelscope", "hub");

    /// <summary>Whether models without a scheme are ModelScope's (<c>VLLM_USE_MODELSCOPE</c>), as vLLM has it.</summary>
    public bool IsPreferred { get; init; }

    /// <summary>What the variables of an environment say.</summary>
    /// <param name="environment">Gives the value of a variable, null where it is not set; null for the environment of this process.</param>
    /// <exception cref="ArgumentException">A variable has a value that cannot be; the message names it.</exception>
    public static ModelScopeSettings FromEnvironment(Func<string, string?>? environment = null)
    {
        var read = RemoteSetting.Reader(environment);
        // A domain alone is usual.
        var domain = read("MODELSCOPE_DOMAIN") is { } value && !value.Contains("://", StringComparison.Ordinal) ? $"https://{value}" : read("MODELSCOPE_DOMAIN");
        return new ModelScopeSettings
        {
            Endpoint = RemoteSetting.EndpointOf("MODELSCOPE_DOMAIN", name => name == "MODELSCOPE_DOMAIN" ? domain : read(name)) ?? DefaultEndpoint,
            CacheFolder = RemoteSetting.PathOf("MODELSCOPE_CACHE", read) ?? Path.Combine(RemoteSetting.HomeFolder(read), ".cache", "modelscope", "hub"),
            Token = RemoteSetting.TokenOf("MODELSCOPE_API_TOKEN", read("MODELSCOPE_API_TOKEN")),
            // vLLM's own test of it.
            IsPreferred = read("VLLM_USE_MODELSCOPE")?.ToUpperInvariant() is "TRUE" or "1",
        };
    }

    /// <summary>The settings without the token.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"{nameof(ModelScopeSettings)} {{ ");
        _ = PrintMembers(text);
        return text.Append(" }").ToString();
    }

    // A record would print the token.
    private bool PrintMembers(StringBuilder builder)
    {
        builder.Append($"{nameof(Endpoint)} = {Endpoint}, {nameof(Token)} = {(Token is null ? "none" : "set")}, {nameof(CacheFolder)} = {CacheFolder}, {nameof(IsPreferred)} = {IsPreferred}");
        return true;
    }
}
