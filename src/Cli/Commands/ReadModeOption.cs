using System.CommandLine;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses how bytes come from local files.</summary>
internal static class ReadModeOption
{
    private static readonly Dictionary<string, ReadMode> Modes = new(StringComparer.Ordinal)
    {
        ["auto"] = ReadMode.Auto,
        ["buffered"] = ReadMode.Buffered,
        ["direct"] = ReadMode.Direct,
        ["mapped"] = ReadMode.Mapped,
    };

    /// <summary>Makes the option.</summary>
    public static Option<string> Create()
    {
        var option = new Option<string>("--read")
        {
            Description = "How bytes come from local files: 'buffered' through the page cache, 'direct' past it, 'mapped' without a copy where tensors are kept on the host, while nobody may shorten the file, or the system ends the tool; 'auto' reads directly what is not cached.",
            HelpName = "MODE",
            DefaultValueFactory = _ => "auto",
        };
        option.AcceptOnlyFromAmong([.. Modes.Keys]);
        return option;
    }

    /// <summary>The mode that a value of the option means.</summary>
    public static ReadMode Parse(string value) => Modes[value];

    /// <summary>The value of the option that means a mode.</summary>
    public static string NameOf(ReadMode mode) => Modes.First(pair => pair.Value == mode).Key;
}
