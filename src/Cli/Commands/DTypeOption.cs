using System.CommandLine;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Cli.Commands;

/// <summary>The option that chooses what tensors are converted to: all that codecs convert to, by their names in lower case.</summary>
internal static class DTypeOption
{
    /// <summary>The value that converts nothing.</summary>
    public const string Keep = "keep";

    /// <summary>Makes the option.</summary>
    public static Option<string> Create()
    {
        var option = new Option<string>("--dtype")
        {
            Description = "The dtype that floating tensors get, quantised blocks among them; integers, BOOL and complex numbers are kept. One of "
                + $"{Keep}, {string.Join(", ", Codecs.Targets.Select(NameOf))}.",
            HelpName = "DTYPE",
            DefaultValueFactory = _ => Keep,
        };
        option.AcceptOnlyFromAmong([Keep, .. Codecs.Targets.Select(NameOf)]);
        return option;
    }

    /// <summary>The dtype that a value of the option means; null for none.</summary>
    public static DType? Parse(string value) => DType.TryFromName(value.ToUpperInvariant(), out var dtype) ? dtype : null;

    /// <summary>The value of the option that means a dtype.</summary>
    public static string NameOf(DType dtype) => dtype.Name.ToLowerInvariant();
}
