using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>
/// Holds what every command writes, to the letter, against files in this folder. With UPDATE_GOLDEN=1 in the environment the
/// files are written anew, and the tests of those that changed fail all the same: what changed is read before it is kept.
/// </summary>
public sealed class GoldenTests
{
    private static readonly string Folder = Path.Combine(RepositoryPaths.Root, "tests", "Cli.Tests", "Golden");

    private static readonly bool Updates = Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1";

    public static TheoryData<string> Cases => [.. GoldenCases.All.Select(golden => golden.Name)];

    // Paths in the files are as Linux writes them.
    [LinuxTheory]
    [MemberData(nameof(Cases))]
    public async Task Output_is_what_the_golden_file_says(string name)
    {
        var path = PathOf(name);
        var actual = await GoldenSession.TranscribeAsync(Find(name));
        var expected = File.Exists(path) ? await File.ReadAllTextAsync(path) : null;
        if (actual == expected)
        {
            return;
        }

        if (Updates)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllTextAsync(path, actual);
            Assert.Fail($"{path} is written anew. Read it, and run the tests again without UPDATE_GOLDEN.");
        }

        Assert.True(expected is not null, $"{path} is missing. UPDATE_GOLDEN=1 writes it.");
        Assert.Fail($"{FirstDifference(name, expected, actual)}\nUPDATE_GOLDEN=1 writes the file anew.");
    }

    // Where the culture is not taken out of .NET, as it is of the tool, numbers have decimal commas and groups of dots.
    [LinuxTheory]
    [MemberData(nameof(Cases))]
    public async Task Output_is_the_same_under_a_culture_with_decimal_commas(string name)
    {
        var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        commas.NumberFormat.NumberDecimalSeparator = ",";
        commas.NumberFormat.NumberGroupSeparator = ".";
        commas.NumberFormat.PercentDecimalSeparator = ",";
        commas.NumberFormat.NegativeSign = "\u2212";
        var plain = await GoldenSession.TranscribeAsync(Find(name));
        CultureInfo.CurrentCulture = commas;
        Assert.Equal(plain, await GoldenSession.TranscribeAsync(Find(name)));
    }

    [Fact]
    public void Every_golden_file_has_a_case()
    {
        var files = Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories).Where(path => Path.GetExtension(path) != ".cs");
        Assert.Equal(GoldenCases.All.Select(golden => PathOf(golden.Name)).Order(StringComparer.Ordinal), files.Order(StringComparer.Ordinal));
    }

    private static GoldenCase Find(string name) => Assert.Single(GoldenCases.All, golden => golden.Name == name);

    private static string PathOf(string name) => Path.Combine([Folder, .. name.Split('/')]) + ".txt";

    private static string FirstDifference(string name, string expected, string actual)
    {
        var (left, right) = (expected.Split('\n'), actual.Split('\n'));
        var line = Enumerable.Range(0, Math.Max(left.Length, right.Length)).First(i => At(left, i) != At(right, i));
        return $"{name}.txt, line {line + 1}:\nexpected: {At(left, line)}\nactual:   {At(right, line)}";

        static string At(string[] lines, int index) => index < lines.Length ? lines[index] : "(end)";
    }
}
