using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What formats that are written are called. Safe for any thread.</summary>
public static class OutputFormatExtensions
{
    extension(OutputFormat format)
    {
        /// <summary>The name as people write it, such as <c>GGUF</c>.</summary>
        /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
        public string DisplayName => format switch
        {
            OutputFormat.Safetensors => "safetensors",
            OutputFormat.Gguf => "GGUF",
            OutputFormat.Torch => "PyTorch",
            OutputFormat.Npz => "npz",
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
        };

        /// <summary>One file of the format in a sentence, such as <c>a GGUF file</c>.</summary>
        /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
        public string OneFile => $"{(format == OutputFormat.Npz ? "an" : "a")} {format.DisplayName} file";

        /// <summary>The name as it is typed, such as <c>gguf</c>: lower case, without a dot.</summary>
        /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
        public string Keyword => format switch
        {
            OutputFormat.Safetensors => "safetensors",
            OutputFormat.Gguf => "gguf",
            OutputFormat.Torch => "pt",
            OutputFormat.Npz => "npz",
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
        };

        /// <summary>The endings by which a file's name says its format, such as <c>.gguf</c>; that of a folder's files first.</summary>
        /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
        public ImmutableArray<string> Extensions => format switch
        {
            OutputFormat.Safetensors => [ShardNames.SafetensorsExtension],
            OutputFormat.Gguf => [ShardNames.GgufExtension],
            OutputFormat.Torch => [ShardNames.TorchExtension, ".pt", ".pth", ".ckpt"],
            OutputFormat.Npz => [ShardNames.NpzExtension],
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
        };
    }
}
