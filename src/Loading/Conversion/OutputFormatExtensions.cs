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
            OutputFormat.Npz => "npz",
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
        };

        /// <summary>The ending of the files' names, such as <c>.gguf</c>.</summary>
        /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
        public string Extension => format switch
        {
            OutputFormat.Safetensors => ShardNames.SafetensorsExtension,
            OutputFormat.Gguf => ShardNames.GgufExtension,
            OutputFormat.Npz => ShardNames.NpzExtension,
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "There is no such format."),
        };
    }
}
