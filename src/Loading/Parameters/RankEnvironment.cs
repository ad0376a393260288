using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The variables that launchers set.</summary>
/// <param name="lookup">Gives a variable's value or null.</param>
internal sealed class RankEnvironment(Func<string, string?> lookup)
{
    /// <summary>The first launcher that has set its rank; else the first that has set anything else, which is half; null where none has.</summary>
    public RankLauncher? FindLauncher() =>
        RankLauncher.All.FirstOrDefault(launcher => Text(launcher.Rank) is not null)
        ?? RankLauncher.All.FirstOrDefault(launcher => Text(launcher.WorldSize) is not null || Text(launcher.LocalRank) is not null);

    /// <summary>Finds a variable's number.</summary>
    /// <param name="variable">The variable; null for none.</param>
    /// <exception cref="ArgumentException">It is no number.</exception>
    public RankNumber? Find(string? variable) =>
        Text(variable) is not { } text ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? new RankNumber(number, variable!)
        : throw new ArgumentException($"{variable} is {Quoted.Name(text)}, and a number that is not negative was expected.", nameof(variable));

    /// <summary>Says which variable is missing, and which are there.</summary>
    public ArgumentException HalfSet(RankLauncher launcher, string missing)
    {
        var set = new[] { launcher.Rank, launcher.WorldSize, launcher.LocalRank }
            .Where(variable => Text(variable) is not null)
            .Select(variable => $"{variable} is {Quoted.Name(Text(variable)!)}");
        return new ArgumentException(
            $"{string.Join(" and ", set)}, as {launcher.Name} sets it, but {missing} is not set; set both, or give rank and number of ranks.", nameof(missing));
    }

    private string? Text(string? variable) => variable is null ? null : lookup(variable) is { Length: > 0 } text ? text : null;
}
