from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0011_profiles")]

    operations = [
        migrations.AddField(
            model_name="modelfolder",
            name="skipped_said",
            field=models.JSONField(default=list, help_text="The same, to be said in the reader's language."),
        ),
    ]
