using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Reads settings from environment variables as huggingface_hub does.</summary>
internal static class RemoteSetting
{
    /// <summary>Who gives the values of variables; empty ones count as not set.</summary>
    public static Func<string, string?> Reader(Func<string, string?>? environment) =>
        name => (environment ?? Environment.GetEnvironmentVariable)(name) is { Length: > 0 } value ? value : null;

    /// <summary>The user's folder.</summary>
    public static string HomeFolder(Func<string, string?>? read) => read?.Invoke("HOME") ?? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    /// <summary>Whether a value switches something on.</summary>
    public static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    /// <summary>A path, in which <c>~</c>, <c>$NAME</c> and <c>${NAME}</c> stand for what they do in a shell; null where it is not set.</summary>
    public static string? PathOf(string variable, Func<string, string?> read)
    {
        if (read(variable) is not { } value)
        {
            return null;
        }

        if (value == "~" || value.StartsWith("~/", StringComparison.Ordinal))
        {
            value = HomeFolder(read) + value[1..];
        }

        return Path.GetFullPath(Expand(value, read));
    }

    /// <summary>An address; null where it is not set.</summary>
    public static Uri? EndpointOf(string variable, Func<string, string?> read) =>
        read(variable) is not { } value ? null
        : Uri.TryCreate(value, UriKind.Absolute, out var address) ? CheckEndpoint(address, variable)
        : throw new ArgumentException($"{variable} is {Quoted.Name(value)}, which is no address; it begins with https://.", variable);

    /// <summary>A number of seconds above zero, up to <see cref="RemoteOptions.MaximumTimeout"/>; null where it is not set.</summary>
    public static TimeSpan? SecondsOf(string variable, Func<string, string?> read) =>
        read(variable) is not { } value ? null
        : double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds > 0 && seconds <= RemoteOptions.MaximumTimeout.TotalSeconds && TimeSpan.FromSeconds(seconds) is var span && span > TimeSpan.Zero ? span
        : throw new ArgumentException($"{variable} is {Quoted.Name(value)}, which is no number of seconds above 0 and up to {RemoteOptions.MaximumTimeout.TotalSeconds:0}.", variable);

    /// <summary>A token as it stands in a variable or a file, without the ends of lines; null where there is none.</summary>
    /// <exception cref="ArgumentException">It has characters that no token has; the message names where it is from and does not show it.</exception>
    public static string? TokenOf(string from, string? text) =>
        text?.Replace("\r", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal).Trim() is { Length: > 0 } token ? CheckToken(token, from) : null;

    /// <summary>A token that can stand in a header.</summary>
    /// <exception cref="ArgumentException">It has other characters than printable ones of ASCII.</exception>
    public static string? CheckToken(string? value, string from) =>
        value is null || !value.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? value
            : throw new ArgumentException($"The token in {from} has characters that no token has (spaces, or others than those of ASCII); copy it once more.", from);

    /// <summary>An endpoint without a slash at its end.</summary>
    public static Uri CheckEndpoint(Uri value, string name)
    {
        ArgumentNullException.ThrowIfNull(value, name);
        return value.IsAbsoluteUri && value.Scheme is "https" or "http" && value.UserInfo.Length == 0 && value.Query.Length == 0 && value.Fragment.Length == 0
            ? value
            : throw new ArgumentException($"{name} must be an address of https or http without a user, a query and a fragment.", name);
    }

    /// <summary>An address below an endpoint.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="path">The path, escaped.</param>
    public static Uri Below(Uri endpoint, string path) => new($"{endpoint.AbsoluteUri.TrimEnd('/')}/{path}");

    private static string Expand(string value, Func<string, string?> read)
    {
        var at = 0;
        while ((at = value.IndexOf('$', at)) >= 0)
        {
            var isBraced = at + 1 < value.Length && value[at + 1] == '{';
            var start = at + (isBraced ? 2 : 1);
            var end = start;
            while (end < value.Length && (char.IsAsciiLetterOrDigit(value[end]) || value[end] == '_'))
            {
                end++;
            }

            var isWhole = end > start && (!isBraced || (end < value.Length && value[end] == '}'));
            // A variable that is not set stays as it stands, as Python has it.
            if (isWhole && read(value[start..end]) is { } replacement)
            {
                value = value[..at] + replacement + value[(end + (isBraced ? 1 : 0))..];
                at += replacement.Length;
            }
            else
            {
                at = end;
            }
        }

        return value;
    }
}
