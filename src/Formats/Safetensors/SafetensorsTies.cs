using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>
/// Names that share the bytes of one tensor. A safetensors file cannot give two names to one range, so they are written
/// as a metadata entry, a convention of this library that other readers pass over: under <see cref="MetadataKey"/> a JSON
/// object, as a string, of each alias to the tensor of the same file whose dtype, shape and bytes it has.
/// </summary>
public static class SafetensorsTies
{
    /// <summary>The key in the metadata.</summary>
    public const string MetadataKey = "ties";

    /// <summary>The text of the metadata entry, sorted by alias.</summary>
    /// <param name="ties">
    /// The name of a tensor of the file by each alias, such as <c>model.embed_tokens.weight</c> by <c>lm_head.weight</c>.
    /// No alias may be the name of a stored tensor of the checkpoint.
    /// </param>
    /// <exception cref="ArgumentException">A name is not allowed, or a target is itself an alias.</exception>
    public static string Write(IReadOnlyDictionary<string, string> ties)
    {
        ArgumentNullException.ThrowIfNull(ties);
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            foreach (var (alias, target) in ties.OrderBy(tie => tie.Key, StringComparer.Ordinal))
            {
                if (!IsName(alias) || !IsName(target))
                {
                    throw new ArgumentException($"The tie of {Quoted.Name(alias)} to {Quoted.Name(target)} has a name that no tensor may have.", nameof(ties));
                }

                if (ties.ContainsKey(target))
                {
                    throw new ArgumentException($"The tie of {Quoted.Name(alias)} leads to {Quoted.Name(target)}, which is an alias itself.", nameof(ties));
                }

                json.WriteString(alias, target);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>Reads the metadata entry. Its length, and with it the work, is bounded by the header's.</summary>
    /// <param name="text">The entry's value.</param>
    /// <param name="isWellFormed">Whether all of it was understood.</param>
    internal static FileTies Read(string text, out bool isWellFormed)
    {
        var ties = new FileTies();
        try
        {
            isWellFormed = Read(Encoding.UTF8.GetBytes(text), ties);
            return ties;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The second is what the tokeniser throws for half of a surrogate pair. Nothing of a broken text counts.
            isWellFormed = false;
            var refused = new FileTies();
            refused.Refuse("they are not JSON");
            return refused;
        }
    }

    private static bool Read(ReadOnlySpan<byte> text, FileTies ties)
    {
        var json = new Utf8JsonReader(text);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
        {
            // The rest is not looked at: nothing of it can be a tie.
            ties.Refuse("they are no JSON object");
            return false;
        }

        // The target by alias, or why it has none.
        var found = new Dictionary<string, (string? Target, string? Problem)>();
        while (json.Read() && json.TokenType != JsonTokenType.EndObject)
        {
            var alias = json.GetString()!;
            json.Read();
            var target = json.TokenType == JsonTokenType.String ? json.GetString()! : null;
            json.Skip();
            var problem = target is null ? "its target is not a string"
                : !IsName(alias) || !IsName(target) ? "no tensor may have such a name"
                : null;
            if (!found.TryAdd(alias, (target, problem)))
            {
                found[alias] = (null, "it is given twice, and readers would disagree about which one counts");
            }
        }

        // Anything but white space after the object throws here.
        json.Read();
        var isWellFormed = true;
        foreach (var (alias, (target, problem)) in found)
        {
            if (problem is null)
            {
                ties.Add(alias, target!);
            }
            else
            {
                isWellFormed = false;
                ties.Refuse(alias, problem);
            }
        }

        return isWellFormed;
    }

    private static bool IsName(string name) => name != SafetensorsConstants.MetadataKey && SafetensorsWriter.CanBeWritten(name);
}
