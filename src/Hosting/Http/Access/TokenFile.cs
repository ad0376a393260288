using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>Finds the configured token.</summary>
internal static class TokenFile
{
    /// <summary>The fewest characters of a token that others may try: 64 bits where they are hexadecimal digits, which nobody goes through over a network.</summary>
    public const int ShortestToken = 16;

    // What a header of the largest size still holds; a file beyond it is something else.
    private const int LongestToken = 4096;

    /// <summary>The token: the option itself, or what its file has; null for none.</summary>
    /// <param name="options">The options.</param>
    /// <param name="problem">What is wrong with it, without its text; null where nothing is.</param>
    public static string? Read(HttpOptions options, out string? problem)
    {
        problem = null;
        var token = options.Token;
        if (options.TokenFile is { } path)
        {
            if (token is not null)
            {
                problem = "there is a TokenFile and a Token (or ILGPU_LOADER_TOKEN): leave one out";
                return null;
            }

            token = ReadFile(path, ref problem);
        }

        if (problem is null && token is not null && (token.Length == 0 || token.AsSpan().ContainsAnyExceptInRange('!', '~')))
        {
            problem = token.Length == 0 ? "the token is empty" : "the token has characters that are not visible ASCII, which no header carries";
        }

        return problem is null ? token : null;
    }

    /// <summary>Whether others than the file's owner and group can read it; never where the system has no such permissions.</summary>
    public static bool IsReadByOthers(string path) => !OperatingSystem.IsWindows() && File.GetUnixFileMode(path).HasFlag(UnixFileMode.OtherRead);

    private static string? ReadFile(string path, ref string? problem)
    {
        try
        {
            using var reader = new StreamReader(path);
            var buffer = new char[LongestToken + 3];
            var length = reader.ReadBlock(buffer, 0, buffer.Length);
            // An editor ends the line.
            var text = buffer.AsSpan(0, length).TrimEnd("\r\n");
            if (text.Length > LongestToken)
            {
                problem = $"{Quoted.Name(path)} has more than {LongestToken} characters, which is no token";
                return null;
            }

            return text.ToString();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            problem = $"the token cannot be read: {Quoted.Plain(exception.Message)}";
            return null;
        }
    }
}
