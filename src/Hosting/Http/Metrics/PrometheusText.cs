using System.Globalization;
using System.Text;

namespace IlgpuLoader.Hosting;

/// <summary>Prometheus' text format 0.0.4, with names as OpenTelemetry's rules make them of instruments' names and units.</summary>
internal static class PrometheusText
{
    /// <summary>The metric's name: <c>ilgpu_loader.load.duration</c> in <c>s</c> is <c>ilgpu_loader_load_duration_seconds</c>; counters end in <c>_total</c>.</summary>
    public static string NameOf(string name, string? unit, MetricKind kind)
    {
        var result = Clean(name);
        var suffix = unit switch
        {
            "s" => "seconds",
            "ms" => "milliseconds",
            "By" => "bytes",
            "%" => "percent",
            "1" when kind == MetricKind.Gauge => "ratio",
            _ => null,
        };
        if (suffix is not null && !result.EndsWith($"_{suffix}", StringComparison.Ordinal))
        {
            result = $"{result}_{suffix}";
        }

        return kind == MetricKind.Counter && !result.EndsWith("_total", StringComparison.Ordinal) ? $"{result}_total" : result;
    }

    /// <summary>Tags as labels, without braces, in the order of their names, so that the same tags are the same series.</summary>
    public static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var labels = new string[tags.Length];
        for (var i = 0; i < tags.Length; i++)
        {
            var value = tags[i].Value switch
            {
                null => "",
                true => "true",
                false => "false",
                IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
                var other => other.ToString() ?? "",
            };
            labels[i] = $"{Clean(tags[i].Key)}=\"{Escape(value, quotes: true)}\"";
        }

        Array.Sort(labels, StringComparer.Ordinal);
        return string.Join(',', labels);
    }

    /// <summary>A text with what would end its line, or its label, escaped.</summary>
    public static string Escape(string text, bool quotes)
    {
        text = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quotes ? text.Replace("\"", "\\\"", StringComparison.Ordinal) : text;
    }

    /// <summary>A number, in the form that gives the same number back.</summary>
    public static string Number(double value) => double.IsNaN(value) ? "NaN"
        : double.IsInfinity(value) ? value > 0 ? "+Inf" : "-Inf"
        : value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>Appends one line.</summary>
    public static void AppendLine(StringBuilder text, string name, string labels, double value)
    {
        _ = text.Append(name);
        if (labels.Length > 0)
        {
            _ = text.Append('{').Append(labels).Append('}');
        }

        _ = text.Append(' ').Append(Number(value)).Append('\n');
    }

    // Letters, digits and underscores, and no digit first.
    private static string Clean(string name)
    {
        var clean = string.Create(name.Length, name, static (characters, name) =>
        {
            for (var i = 0; i < name.Length; i++)
            {
                characters[i] = char.IsAsciiLetterOrDigit(name[i]) ? name[i] : '_';
            }
        });
        return clean is [>= '0' and <= '9', ..] ? $"_{clean}" : clean;
    }
}
