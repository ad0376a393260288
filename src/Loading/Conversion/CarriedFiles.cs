using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// The small files that make weights a model: configuration, tokenizer, generation. A converted folder carries them along,
/// with the dtype that the configuration names set to the one the weights have now.
/// </summary>
public static class CarriedFiles
{
    private const string ConfigName = "config.json";

    // What transformers, sentencepiece, tiktoken and Mistral call them. Code is not carried along: nothing here runs it.
    private static readonly string[] Patterns =
    [
        "*config*.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*.json", "vocab*.txt", "vocab*.bpe",
        "merges*.txt", "*.tiktoken", "*.model", "tekken.json", "params.json", "chat_template*", "*.jinja",
    ];

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The files to carry along, as full paths in the order of their names.</summary>
    internal static ImmutableArray<string> Find(string folder) =>
        [.. Directory.EnumerateFiles(folder).Where(path => Includes(Path.GetFileName(path))).Order(StringComparer.Ordinal)];

    /// <summary>Whether a file of this base name is carried along.</summary>
    public static bool Includes(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return !name.StartsWith('.')
            && !name.Contains(".index.", StringComparison.OrdinalIgnoreCase)
            && Array.Exists(Patterns, pattern => NamePattern.Matches(pattern, name.ToLowerInvariant()));
    }

    /// <summary>Writes a copy of each file.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="output">Where they go.</param>
    /// <param name="dtype">The dtype that all floating tensors have now; null where they keep their own.</param>
    /// <param name="cancellationToken">Ends the copying within one file of at most 2 GiB, usually of a few megabytes.</param>
    internal static async Task CopyAsync(
        IEnumerable<string> paths, AtomicFolder output, DType? dtype, CancellationToken cancellationToken)
    {
        foreach (var path in paths)
        {
            var name = Path.GetFileName(path);
            var content = await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false);
            if (name == ConfigName && dtype is { } target)
            {
                content = WithDType(content, target);
            }

            await output.WriteAllBytesAsync(name, content, cancellationToken).ConfigureAwait(false);
        }
    }

    // Loaders convert to what the configuration says: a copy that still said bfloat16 would undo the conversion. 8-bit floats
    // are left out, since no model computes in them and loaders take the field for the dtype of activations.
    private static byte[] WithDType(byte[] config, DType dtype)
    {
        var name = dtype switch
        {
            DType.F32 => "float32",
            DType.F16 => "float16",
            DType.BF16 => "bfloat16",
            DType.F64 => "float64",
            _ => null,
        };
        if (name is null)
        {
            return config;
        }

        try
        {
            if (JsonNode.Parse(config) is not JsonObject root)
            {
                return config;
            }

            var changed = false;
            foreach (var key in (ReadOnlySpan<string>)["torch_dtype", "dtype"])
            {
                if (root.TryGetPropertyValue(key, out var value) && value?.GetValueKind() == JsonValueKind.String)
                {
                    root[key] = name;
                    changed = true;
                }
            }

            return changed ? System.Text.Encoding.UTF8.GetBytes(root.ToJsonString(Indented) + "\n") : config;
        }
        catch (JsonException)
        {
            // Not this class's to judge: opening the checkpoint has warned that it cannot be read.
            return config;
        }
    }
}
