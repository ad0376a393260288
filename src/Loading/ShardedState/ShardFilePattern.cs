using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// What the files of a state are called that was saved rank by rank: a base name with <c>{rank}</c> and <c>{part}</c> in it, once each. vLLM's pattern, with its default. Immutable.
/// </summary>
public sealed class ShardFilePattern
{
    /// <summary>The text of the default pattern: <c>model-rank-{rank}-part-{part}.safetensors</c>.</summary>
    public const string DefaultText = "model-rank-{rank}-part-{part}.safetensors";

    private const string RankPlaceholder = "{rank}";
    private const string PartPlaceholder = "{part}";

    private readonly string _head;
    private readonly string _between;
    private readonly string _tail;
    private readonly bool _rankIsFirst;

    private ShardFilePattern(string text, int rank, int part)
    {
        Text = text;
        _rankIsFirst = rank < part;
        var (first, second) = _rankIsFirst ? (rank, part) : (part, rank);
        // Both placeholders are equally long.
        _head = text[..first];
        _between = text[(first + RankPlaceholder.Length)..second];
        _tail = text[(second + RankPlaceholder.Length)..];
    }

    /// <summary>The default pattern.</summary>
    public static ShardFilePattern Default { get; } = Parse(DefaultText);

    /// <summary>The text that the pattern was made of.</summary>
    public string Text { get; }

    /// <summary>Makes a pattern of its text.</summary>
    /// <param name="text">A file's base name with the two placeholders and something between them that is no digit, so that no name is that of two ranks.</param>
    /// <exception cref="ArgumentException">It is no base name, a placeholder is missing, there twice or another one, nothing parts the two, or it names configurations.</exception>
    public static ShardFilePattern Parse(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        if (text.AsSpan().ContainsAny('/', '\\') || text.Any(char.IsControl))
        {
            throw Invalid(text, "it is to be a file's base name, without a folder");
        }

        var (rank, part) = (PlaceOf(text, RankPlaceholder), PlaceOf(text, PartPlaceholder));
        var others = text.Replace(RankPlaceholder, "", StringComparison.Ordinal).Replace(PartPlaceholder, "", StringComparison.Ordinal);
        if (others.AsSpan().ContainsAny('{', '}'))
        {
            throw Invalid(text, $"there are no other placeholders than {RankPlaceholder} and {PartPlaceholder}");
        }

        var pattern = new ShardFilePattern(text, rank, part);
        if (CarriedFiles.Includes(pattern.Format(0, 0)))
        {
            throw Invalid(text, $"{Quoted.Name(pattern.Format(0, 0))} is what a configuration or tokenizer is called, which lie beside the files");
        }

        return pattern._between.All(char.IsAsciiDigit)
            ? throw Invalid(text, $"between {RankPlaceholder} and {PartPlaceholder} there has to be something that is no digit, or one name would be that of two ranks")
            : pattern;
    }

    /// <summary>The base name of a part.</summary>
    /// <param name="rank">The rank, from 0.</param>
    /// <param name="part">The part's number, from 0.</param>
    public string Format(int rank, int part)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfNegative(part);
        return Format(rank, part.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Finds the parts of a rank: all files that match with any text in place of the part's number.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="rank">The rank, from 0.</param>
    /// <returns>Their paths, at least one, in natural order.</returns>
    /// <exception cref="InvalidCheckpointException">There are none; the message shows the folder and the pattern for that rank.</exception>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be read.</exception>
    public IReadOnlyList<string> FindParts(string folder, int rank)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        return [.. ChooseParts(folder, Directory.Exists(folder) ? NamesIn(folder) : [], rank).Select(name => Path.Combine(folder, name))];
    }

    /// <summary>Finds the parts of a rank among the files of a place.</summary>
    /// <param name="place">The folder or prefix, for the message.</param>
    /// <param name="names">The base names of its files.</param>
    /// <param name="rank">The rank, from 0.</param>
    /// <returns>Their base names, at least one, in natural order.</returns>
    /// <exception cref="InvalidCheckpointException">There are none; the message shows the place and the pattern for that rank.</exception>
    internal string[] ChooseParts(string place, IEnumerable<string> names, int rank)
    {
        string[] parts = [.. names.Where(name => Matches(name, rank)).Order(NaturalOrder.Instance)];
        return parts.Length > 0
            ? parts
            : throw new InvalidCheckpointException(
                CheckpointErrorCode.NoWeights,
                place,
                $"there are no files {Quoted.Name(Format(rank, "*"))} here, and only a state that was saved shard by shard is loaded this way: is this its folder, the rank, "
                + "and the pattern of its names? Save one first ('shard'), or load the checkpoint as it is.");
    }

    /// <summary>How many ranks a folder has files of, one after the other from rank 0 on.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be read.</exception>
    public int CountRanks(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        return CountRanks(NamesIn(folder));
    }

    /// <summary>How many ranks there are files of, one after the other from rank 0 on.</summary>
    /// <param name="names">Their base names.</param>
    internal int CountRanks(IReadOnlyList<string> names)
    {
        var ranks = 0;
        while (names.Any(name => Matches(name, ranks)))
        {
            ranks++;
        }

        return ranks;
    }

    /// <summary>Whether a base name is that of a part of a rank.</summary>
    public bool Matches(string name, int rank)
    {
        ArgumentNullException.ThrowIfNull(name);
        var number = rank.ToString(CultureInfo.InvariantCulture);
        var (before, after) = _rankIsFirst ? (_head + number + _between, _tail) : (_head, _between + number + _tail);
        return name.Length >= before.Length + after.Length
            && name.StartsWith(before, StringComparison.Ordinal)
            && name.EndsWith(after, StringComparison.Ordinal)
            // As a shell's *, which names no hidden files: those are temporary ones.
            && (before.Length > 0 || !name.StartsWith('.'));
    }

    /// <summary>Whether a base name is that of a part of any rank.</summary>
    public bool IsPart(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        // The rank's number is where the pattern has it, from the first digit on that can be it.
        for (var start = 0; start < name.Length; start++)
        {
            var digits = name.AsSpan(start);
            var length = digits.IndexOfAnyExceptInRange('0', '9');
            if (int.TryParse(length < 0 ? digits : digits[..length], NumberStyles.None, CultureInfo.InvariantCulture, out var rank) && Matches(name, rank))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The text.</summary>
    public override string ToString() => Text;

    private static string[] NamesIn(string folder) => [.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path))];

    private string Format(int rank, string part)
    {
        var number = rank.ToString(CultureInfo.InvariantCulture);
        return _rankIsFirst ? $"{_head}{number}{_between}{part}{_tail}" : $"{_head}{part}{_between}{number}{_tail}";
    }

    private static int PlaceOf(string text, string placeholder)
    {
        var place = text.IndexOf(placeholder, StringComparison.Ordinal);
        return place < 0 ? throw Invalid(text, $"it lacks {placeholder}")
            : text.IndexOf(placeholder, place + 1, StringComparison.Ordinal) >= 0 ? throw Invalid(text, $"{placeholder} is there twice")
            : place;
    }

    private static ArgumentException Invalid(string text, string problem) =>
        new($"{Quoted.Name(text)} is no pattern of a sharded state's files: {problem}. An example is {DefaultText}.", nameof(text));
}
