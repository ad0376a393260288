using System.Buffers;
using System.Text;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Formats;

/// <summary>
/// Decides from the first bytes which format a file has, never from its name. The name only decides which format
/// explains a file that none recognises.
/// </summary>
internal sealed class FormatDetector
{
    /// <summary>How many bytes are looked at: "ustar" stands at 257 in a tar archive's header of 512 bytes.</summary>
    public const int HeadBytes = 512;

    // No more than one number of 64 bits: too little to tell what it was to become.
    private const int FewBytes = 8;

    private const string TarArchive = "a tar archive";

    private static readonly SearchValues<byte> TextCharacters =
        SearchValues.Create([.. "\t\r\n"u8, .. Enumerable.Range(' ', '~' - ' ' + 1).Select(character => (byte)character)]);

    private readonly CheckpointFormat[] _formats;

    public FormatDetector(CheckpointOptions options)
    {
        _formats =
        [
            new SafetensorsFormat(options.Safetensors),
            new GgufFormat(options.Gguf, options.ListUnreadableTensors),
            new TorchFormat(options.Torch),
            new NumpyFormat(options.Numpy),
            new ZipCheckpoint(options),
        ];
    }

    /// <summary>The endings of the names of files that this version reads.</summary>
    public IEnumerable<string> Extensions => _formats.SelectMany(format => format.Extensions);

    /// <summary>Finds the format of a file.</summary>
    /// <param name="head">The first bytes, <see cref="HeadBytes"/> or as many as the file has.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="InvalidCheckpointException">It is something else, and the message says what.</exception>
    /// <exception cref="UnsupportedCheckpointException">It is a checkpoint of a format that this version does not read.</exception>
    public CheckpointFormat Detect(ReadOnlySpan<byte> head, string path)
    {
        // A pointer comes first: its text read as a number would be "a header of 2.3 exabytes".
        if (head.StartsWith("version https://git-lfs"u8) || head.StartsWith("version https://hawser"u8))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.GitLfsPointer,
                path,
                "this is a git-lfs pointer, not the file it points to: run 'git lfs pull' in the repository, or download the file itself.");
        }

        // Zip archives are the only ones that PyTorch looks for before tar archives.
        if (!head.StartsWith("PK\u0003\u0004"u8) && TarHeader.Matches(head))
        {
            throw new UnsupportedCheckpointException(
                TarArchive,
                path,
                $"this is {TarArchive}, whatever else it may look like, and PyTorch would run the pickles in it; it is not read. Fetch the weights as safetensors, "
                + "or let who made the file save it with PyTorch 1.6 or later.");
        }

        foreach (var format in _formats)
        {
            if (format.Matches(head))
            {
                return format;
            }
        }

        if (LooksLikeMarkup(head))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.HtmlPage,
                path,
                "this is an HTML or XML page, most likely the error page of a download: look into it, and fetch the file again.");
        }

        if (OtherFormat(head) is { } other)
        {
            throw new UnsupportedCheckpointException(
                other, path, $"this is {other}, which this version does not read; convert it to safetensors.");
        }

        if (OlderThanGguf(head) is { } older)
        {
            throw new UnsupportedCheckpointException(
                older, path, $"this is {older}, which llama.cpp itself no longer reads: convert the original model to GGUF with llama.cpp, or fetch a newer file.");
        }

        // A few zeros may be all that a format's own fields are; its reader knows better.
        if (head.Length > FewBytes && !head.ContainsAnyExcept((byte)0))
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ZeroFilled,
                path,
                "the file begins with zeros only: an interrupted download leaves this; fetch the file again.",
                offset: 0);
        }

        // What servers answer in words ("Entry not found", {"error": ...}) is no header of exabytes either.
        var extension = LooksLikeText(head) ? "" : Path.GetExtension(path);
        return Array.Find(_formats, format => format.Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase))
            ?? throw new InvalidCheckpointException(
                CheckpointErrorCode.UnknownFormat,
                path,
                $"{Describe(head)}; this version reads {string.Join(", ", _formats.SelectMany(format => format.FormatNames).Distinct())}.",
                offset: 0);
    }

    private static bool LooksLikeMarkup(ReadOnlySpan<byte> head)
    {
        var text = Encoding.Latin1.GetString(head).TrimStart('\u00ef', '\u00bb', '\u00bf', ' ', '\t', '\r', '\n');
        return text.StartsWith("<!doctype", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<head", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<?xml", StringComparison.OrdinalIgnoreCase);
    }

    // What people may well pass. The article is part of the text: it is read in a sentence.
    private static string? OtherFormat(ReadOnlySpan<byte> head) => head switch
    {
        [0x89, (byte)'H', (byte)'D', (byte)'F', ..] => "an HDF5 file",
        _ when head.StartsWith("PYTORCH1"u8) => "a PyTorch file of the oldest kind",
        _ when head.Length >= 262 && head[257..].StartsWith("ustar"u8) => TarArchive,
        [0x1f, 0x8b, ..] => "a gzip archive",
        _ => null,
    };

    // Their magics are numbers, so that their letters stand in the file the other way round. The drafts of GGUF began so too
    // (llama.cpp in August 2023), with fields that are little-endian and version 1.
    private static string? OlderThanGguf(ReadOnlySpan<byte> head) => head switch
    {
        _ when head.StartsWith("lmgg"u8) => "a ggml file of the first kind (magic 'ggml', no version), older than GGUF",
        _ when head.StartsWith("fmgg"u8) => "a ggml file with magic 'ggmf', older than GGUF",
        _ when head.StartsWith("tjgg"u8) => "a ggml file with magic 'ggjt', older than GGUF",
        _ when head.StartsWith("algg"u8) => "a ggml LoRA adapter with magic 'ggla', older than GGUF",
        _ when head.StartsWith("FUGG"u8) => "a draft of GGUF from before its first release, whose magic is spelled FUGG",
        _ => null,
    };

    // Taken for a number, eight characters of text are a length far beyond any header's.
    private static bool LooksLikeText(ReadOnlySpan<byte> head) =>
        head.Length >= FewBytes && !head[..FewBytes].ContainsAnyExcept(TextCharacters);

    private static string Describe(ReadOnlySpan<byte> head)
    {
        if (head.IsEmpty)
        {
            return "the file is empty";
        }

        const int shownText = 60;
        var shown = head[..Math.Min(FewBytes, head.Length)];
        return $"the first bytes, {Convert.ToHexString(shown)} ({Quoted.Plain(Encoding.Latin1.GetString(shown))}), are those of no checkpoint format"
            + (LooksLikeText(head)
                ? " but text, as a server answers where the file is not to be had: "
                    + Quoted.Name(Encoding.Latin1.GetString(head[..Math.Min(shownText, head.Length)]))
                : "");
    }
}
