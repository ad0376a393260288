using System.Reflection;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>The guide has every key of the options in a row of a table, with its default.</summary>
[Trait("Area", "Options")]
public sealed class OptionsDocumentTests
{
    private static readonly string Guide = Path.Combine(RepositoryPaths.Root, "docs", "hosting.md");

    [GuideFact]
    public void Every_key_is_in_a_row_of_a_table_with_its_default()
    {
        var rows = File.ReadLines(Guide).Where(line => line.StartsWith('|')).Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries)).ToArray();
        Assert.Empty(Keys()
            .Where(key => !rows.Any(row => (row[0] == $"`{key.Name}`" || row[0].EndsWith($":{key.Name}`", StringComparison.Ordinal)) && (key.Default is null || row.Skip(1).Any(cell => cell.Contains($"`{key.Default}`", StringComparison.Ordinal)))))
            .Select(key => $"| `{key.Name}` | {key.Type} | {(key.Default is null ? "" : $"`{key.Default}`")} |"));
    }

    // A default that is nothing, or nothing yet, is said in words.
    private static IEnumerable<(string Name, string Type, string? Default)> Keys() =>
        from options in (object[])[new IlgpuLoaderOptions(), new RetryOptions(), new HostedModelOptions()]
        from property in SectionReader.PropertiesOf(options.GetType())
        select (property.Name, TypeOf(property), OptionValue.IsValue(property.PropertyType) ? DefaultOf(property.GetValue(options)) : null);

    private static string TypeOf(PropertyInfo property) => (Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType).Name;

    private static string? DefaultOf(object? value) => value is bool flag ? (flag ? "true" : "false") : value?.ToString();

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class GuideFactAttribute : FactAttribute
    {
        public GuideFactAttribute()
        {
            if (!File.Exists(Guide))
            {
                Skip = $"There is no guide (looked for {Guide}).";
            }
        }
    }
}
